/* What AddressSanitizer is told of stacks: in builds that have it. In others this file is empty
 * functions.
 *
 * It must know the bounds of the stack that is in use. They are taken from it before a switch and
 * given back after it, so that nobody has to know those of another stack (gl_asan_leave,
 * gl_asan_arrive).
 *
 * A function marks the gaps between its variables in a shadow of its stack, and takes the marks
 * away when it returns. Frames that never return leave them to whoever uses the memory next
 * (gl_asan_clear). A stack that is moved loses them: it can be copied then, and variables of frames
 * that were on it are not watched any more. Frames of functions that are called later are.
 *
 * Stacks cannot be moved if variables of functions are kept elsewhere to be found after the return:
 * run with ASAN_OPTIONS=detect_stack_use_after_return=0.
 */
#ifndef GREENLANE_CONTEXT_ASAN_H
#define GREENLANE_CONTEXT_ASAN_H

#include <stddef.h>

#if defined(__SANITIZE_ADDRESS__)
#define GL_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define GL_ASAN 1
#endif
#endif

/* For a function that looks through a stack, gaps and all. */
#if defined(GL_ASAN)
#define GL_ASAN_UNWATCHED __attribute__((no_sanitize("address")))
#else
#define GL_ASAN_UNWATCHED
#endif

typedef struct {
    void *fake; /* stack for variables that are kept; there is none */
    const void *bottom;
    size_t size;
} gl_asan_stack;

#if defined(GL_ASAN)
#include <sanitizer/asan_interface.h>

/* Remembers which stack is in use. Right before it is left. */
static inline void
gl_asan_leave(gl_asan_stack *here)
{
    __sanitizer_start_switch_fiber(&here->fake, NULL, 0);
    __sanitizer_finish_switch_fiber(NULL, &here->bottom, &here->size);
}

/* The stack in use is this one. Right after coming to it. */
static inline void
gl_asan_arrive(const gl_asan_stack *here)
{
    void *none;
    __sanitizer_start_switch_fiber(&none, here->bottom, here->size);
    __sanitizer_finish_switch_fiber(here->fake, NULL, NULL);
}

/* Whatever frames were in this memory, they are gone or will be moved. */
static inline void
gl_asan_clear(const void *low, const void *high)
{
    size_t size = (size_t)((const char *)high - (const char *)low);
    /* From the lowest mark on. Most of what is below was never used: to write to its shadow would
     * commit that, an eighth of the lane. */
    const char *first = __asan_region_is_poisoned((void *)low, size);
    if (first != NULL) {
        __asan_unpoison_memory_region(first, (size_t)((const char *)high - first));
    }
}

/* The frames of the stack in use will not return. No function may be called after this that will
 * not either. */
static inline void
gl_asan_clear_own(void)
{
    __asan_handle_no_return();
}

#else

static inline void
gl_asan_clear(const void *low, const void *high)
{
    (void)low;
    (void)high;
}

#endif

#endif
