/* A stack for signal handlers, for a thread that has none.
 *
 * Who overflows a stack has nothing left on which to say so: a handler can, on the alternate signal
 * stack of the thread, if it asked for that (SA_ONSTACK) and the thread has one. faulthandler asks,
 * but gives one only to the thread that enables it. Here the others get theirs. No handler is
 * installed, and what a thread has already stays.
 *
 * The kernel writes there whenever such a handler runs, so the memory goes back only when it is
 * certain that the thread will not use it again: if the thread itself says so, or is no more. Below
 * it is a guard: a handler that needs more than there is ends the process, and writes to nobody's
 * memory.
 */
#ifndef GREENLANE_CONTEXT_SIGNAL_STACK_H
#define GREENLANE_CONTEXT_SIGNAL_STACK_H

#include <stdbool.h>
#include <stddef.h>

#if defined(_WIN32)

/* The system keeps the last pages of each stack for handlers. */
typedef int gl_signal_stack;

static inline void
gl_signal_stack_begin(gl_signal_stack *stack)
{
    *stack = 0;
}

static inline bool
gl_signal_stack_end(gl_signal_stack *stack)
{
    *stack = 0;
    return true;
}

#else

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif

/* What handlers may use. A handler that asks for a signal stack would run on the thread's own,
 * which is far larger, if this one were not there: so there is more of it than faulthandler needs,
 * which takes some 16 KiB. Committed when touched. */
#define GL_SIGNAL_STACK ((size_t)256 << 10)

typedef struct gl_signal_stack {
    char *guard; /* a page; NULL: not one of ours */
    char *start;
    size_t size; /* without the guard */
#if defined(__linux__)
    pid_t process; /* whose it is */
    long thread;
#endif
} gl_signal_stack;

/* Gives the calling thread one. Without memory it goes without, as it would anyway. */
static inline void
gl_signal_stack_begin(gl_signal_stack *stack)
{
    *stack = (gl_signal_stack){.guard = NULL};
    stack_t present;
    if (sigaltstack(NULL, &present) != 0 || !(present.ss_flags & SS_DISABLE)) {
        return;
    }
    size_t size = GL_SIGNAL_STACK;
#if defined(_SC_MINSIGSTKSZ)
    /* What the kernel itself puts there: all registers, and some are large. */
    long least = sysconf(_SC_MINSIGSTKSZ);
    size += least > 0 ? (size_t)least : 0;
#endif
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    char *guard =
        mmap(NULL, page + size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (guard == MAP_FAILED) {
        return;
    }
    stack_t own = {.ss_sp = guard + page, .ss_size = size};
    if (mprotect(guard + page, size, PROT_READ | PROT_WRITE) != 0 || sigaltstack(&own, NULL) != 0) {
        munmap(guard, page + size);
        return;
    }
    stack->guard = guard;
    stack->start = guard + page;
    stack->size = size;
#if defined(__linux__)
    stack->process = getpid();
    stack->thread = syscall(SYS_gettid);
#endif
}

/* Takes it from the calling thread. False if that one has another by now, or none. */
static inline bool
gl_signal_stack_take(const gl_signal_stack *stack)
{
    stack_t present;
    if (sigaltstack(NULL, &present) != 0 || (present.ss_flags & SS_DISABLE) ||
        present.ss_sp != stack->start) {
        return false;
    }
    stack_t none = {.ss_flags = SS_DISABLE, .ss_size = stack->size};
    return sigaltstack(&none, NULL) == 0;
}

/* Will it be known some day that the thread that was given it has ended? Of those that a fork has
 * left behind it won't. */
static inline bool
gl_signal_stack_can_be_orphan(const gl_signal_stack *stack)
{
#if defined(__linux__)
    return stack->process == getpid();
#else
    (void)stack;
    return false;
#endif
}

/* Has it ended for certain? */
static inline bool
gl_signal_stack_is_orphan(const gl_signal_stack *stack)
{
#if defined(__linux__)
    return gl_signal_stack_can_be_orphan(stack) &&
           syscall(SYS_tgkill, stack->process, stack->thread, 0) != 0 && errno == ESRCH;
#else
    (void)stack;
    return false;
#endif
}

/* Ends it: called by the thread that was given it, or when that is believed to be gone. False if it
 * is not gone yet: to be called again. */
static inline bool
gl_signal_stack_end(gl_signal_stack *stack)
{
    if (stack->guard == NULL) {
        return true;
    }
    if (gl_signal_stack_take(stack) || gl_signal_stack_is_orphan(stack)) {
        munmap(stack->guard, (size_t)(stack->start - stack->guard) + stack->size);
    }
    else if (gl_signal_stack_can_be_orphan(stack)) {
        return false;
    }
    stack->guard = NULL;
    return true;
}

#endif

#endif
