/* The context switch in C, by the C library's <ucontext.h>: for a CPU that has no assembly file
 * yet, and for comparison. Chosen with `meson setup -Dcontext=ucontext`; switch.S is empty then.
 *
 * It keeps the contract of switch.h and passes the same tests. It is slower by far: swapcontext()
 * saves all that a ucontext_t holds, and asks the kernel twice for the signal mask, which by this
 * way is kept, too.
 *
 * Frame of a suspended context, from the pointer that *save receives, upwards:
 *
 *     margin        what the compiler and swapcontext() have put below the ucontext_t
 *     ucontext_t    a local variable of suspend()
 *     ...           the frame of suspend(), and its callers
 *
 * The C library does not say where on the stack a suspended context ends, which a stack that is
 * copied elsewhere must know. It ends just below suspend()'s locals: MARGIN is more than that
 * takes.
 */
#if defined(GL_CONTEXT_BY_UCONTEXT)

#include "switch.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <ucontext.h>

/* Room below the locals of a small function: arguments passed on the stack, spilled registers, and
 * the areas that some ABIs demand of every caller. */
#define MARGIN ((size_t)512)
_Static_assert(GL_CONTEXT_SIZE >= 2 * MARGIN + sizeof(ucontext_t), "no room for a ucontext_t");

/* makecontext() takes a stack by its size; nothing looks at the lower end of it. */
#define STACK_SIZE ((size_t)16 << 10)

typedef struct {
    gl_context_entry entry;
    void *argument;
} beginning;

static ucontext_t *
context_of(void *sp)
{
    return (ucontext_t *)((char *)sp + MARGIN);
}

/* Suspends the caller and continues `other`. */
__attribute__((noinline)) static void
suspend(void **save, ucontext_t *other)
{
    _Alignas(16) ucontext_t own;
    *save = (void *)((uintptr_t)&own - MARGIN);
    swapcontext(&own, other);
}

void
gl_context_switch(void **save, void *resume)
{
    suspend(save, context_of(resume));
}

/* The outermost function of a new stack. A pointer comes in two halves, since makecontext() passes
 * on nothing wider than int. */
static void
begin(unsigned high, unsigned low)
{
    const beginning *from = (const beginning *)(uintptr_t)((uint64_t)high << 32 | low);
    /* Copied at once: it is on the stack of the one that started us. */
    beginning own = *from;
    setcontext(context_of(own.entry(own.argument)));
}

void
gl_context_start(void **save, void *top, gl_context_entry entry, void *argument)
{
    beginning from = {.entry = entry, .argument = argument};
    ucontext_t started;
    getcontext(&started);
    started.uc_stack.ss_sp = (char *)top - STACK_SIZE;
    started.uc_stack.ss_size = STACK_SIZE;
    started.uc_link = NULL;
    uint64_t address = (uintptr_t)&from;
    makecontext(&started, (void (*)(void))begin, 2, (unsigned)(address >> 32), (unsigned)address);
    suspend(save, &started);
}

#endif
