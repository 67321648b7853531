/* Switching C stacks: the contract that every ABI's assembly file keeps.
 *
 * A *context* is a flow of control suspended on a stack of its own. All that is left of it is a
 * pointer to the lowest word of its stack: the callee-saved state of its psABI lies there, below
 * the return address of the call that suspended it. Nothing else is allocated.
 *
 * Nothing in this directory knows of Python: it must stay testable, natively and under emulation,
 * by a C program alone (impl/tests/c).
 *
 * What every implementation does and does not keep:
 *   kept      callee-saved integer and vector registers, the control words of the floating-point
 *             units (rounding mode, exception masks), the stack pointer;
 *   not kept  caller-saved registers, floating-point status flags, the signal mask, thread
 *             pointer, shadow stacks (CET shadow stacks are not supported).
 *
 * The stack pointer is changed by one instruction, when the frame that it will point to is
 * complete: a signal never sees a half-made stack.
 */
#ifndef GREENLANE_CONTEXT_SWITCH_H
#define GREENLANE_CONTEXT_SWITCH_H

#include "asan.h"

#include <stddef.h>

/* What a suspended context takes of its stack below the frame of the function that called
 * gl_context_switch or gl_context_start, at most: in bytes. */
#if defined(GL_CONTEXT_BY_UCONTEXT)
#define GL_CONTEXT_SIZE 8192
#elif defined(GL_ASAN)
#define GL_CONTEXT_SIZE 4096
#else
#define GL_CONTEXT_SIZE 640
#endif

/* The first function of a new context. It runs on the new stack and returns the stack pointer of
 * the suspended context that continues instead; the stack it ran on is not used again. */
typedef void *(*gl_context_entry)(void *argument);

/* Suspends the caller, storing its stack pointer in *save, and continues the context whose stack
 * pointer is `resume`. Returns when somebody continues the caller in turn. */
void gl_context_switch(void **save, void *resume);

/* Windows keeps the bounds of the running stack, so a new stack must tell its own: where it ends,
 * at `top`, lies a gl_stack_end, or what begins like one. Elsewhere nothing does. */
#if defined(_WIN32)
#define GL_STACKS_HAVE_LIMITS
typedef struct gl_stack_end {
    char *low;   /* lowest address of the stack */
    char *limit; /* lowest address of it that is committed; updated when the entry returns */
} gl_stack_end;
#define GL_STACK_END_SIZE sizeof(gl_stack_end)
#else
#define GL_STACK_END_SIZE ((size_t)0)
#endif

/* Makes committed memory, from `low` up to `top` and GL_STACK_END_SIZE more, a stack that ends at
 * `top`. */
static inline void
gl_stack_make(char *low, char *top)
{
#if defined(GL_STACKS_HAVE_LIMITS)
    gl_stack_end *end = (gl_stack_end *)top;
    end->low = low;
    end->limit = low;
#else
    (void)low;
    (void)top;
#endif
}

/* Suspends the caller, storing its stack pointer in *save, and calls entry(argument) on the stack
 * that ends (exclusive, 16-byte aligned) at `top`. Returns when somebody continues the caller.
 *
 * The entry *returns into* this function's code, which then continues the context that it named:
 * calls and returns stay paired for the processor's return-address predictor. */
void gl_context_start(void **save, void *top, gl_context_entry entry, void *argument);

#if defined(GL_ASAN)
/* AddressSanitizer wants to know. No stack is larger than this. */
#define GL_ASAN_STACK_SIZE ((size_t)8 << 20)

/* What is passed to a new context: the stack of the one that starts it may be overwritten. */
typedef struct {
    char *top;
    gl_context_entry entry;
    void *argument;
} gl_asan_beginning;

static _Thread_local gl_asan_beginning gl_asan_next;
static _Thread_local gl_asan_stack gl_asan_left; /* for good */

static inline void
gl_asan_switch(void **save, void *resume)
{
    gl_asan_stack here;
    gl_asan_leave(&here);
    gl_context_switch(save, resume);
    gl_asan_arrive(&here);
}

static void *
gl_asan_begin(void *beginning)
{
    gl_asan_beginning from = *(gl_asan_beginning *)beginning;
    gl_asan_stack here = {NULL, from.top - GL_ASAN_STACK_SIZE, GL_ASAN_STACK_SIZE};
    gl_asan_arrive(&here);
    void *resume = from.entry(from.argument);
    gl_asan_leave(&here);
    return resume;
}

static inline void
gl_asan_start(void **save, void *top, gl_context_entry entry, void *argument)
{
    gl_asan_stack here;
    gl_asan_next = (gl_asan_beginning){top, entry, argument};
    gl_asan_leave(&here);
    gl_context_start(save, top, gl_asan_begin, &gl_asan_next);
    gl_asan_arrive(&here);
}

#define gl_context_switch(save, resume) gl_asan_switch(save, resume)
#define gl_context_start(save, top, entry, argument) gl_asan_start(save, top, entry, argument)
#endif

/* gl_context_start for a caller that nobody will continue. */
__attribute__((noreturn)) static inline void
gl_context_start_for_good(void *top, gl_context_entry entry, void *argument)
{
    void *never_resumed;
#if defined(GL_ASAN)
    gl_asan_clear_own();
    gl_asan_leave(&gl_asan_left);
    gl_asan_next = (gl_asan_beginning){top, entry, argument};
    (gl_context_start)(&never_resumed, top, gl_asan_begin, &gl_asan_next);
#else
    gl_context_start(&never_resumed, top, entry, argument);
#endif
    __builtin_unreachable();
}

#endif
