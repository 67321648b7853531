/* A stack for signal handlers, for a thread that has none.
 *
 * Who overflows a stack has nothing left on which to say so: a handler can, on the alternate signal
 * stack of the thread, if it asked for that (SA_ONSTACK) and the thread has one. faulthandler asks,
 * but gives one only to the thread that enables it. Here the others get theirs. No handler is
 * installed, and what a thread has already stays.
 *
 * The kernel writes there whenever such a handler runs, so the memory goes back only when it is
 * certain that the thread will not use it again: if the thread itself says so, or is no more.
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

static inline void
gl_signal_stack_end(gl_signal_stack *stack)
{
    *stack = 0;
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

/* What handlers may use. faulthandler itself takes a quarter of it. Committed when touched. */
#define GL_SIGNAL_STACK ((size_t)64 << 10)

typedef struct gl_signal_stack {
    void *start; /* NULL: not one of ours */
    size_t size;
#if defined(__linux__)
    pid_t process; /* whose it is */
    long thread;
#endif
} gl_signal_stack;

/* Gives the calling thread one. Without memory it goes without, as it would anyway. */
static inline void
gl_signal_stack_begin(gl_signal_stack *stack)
{
    *stack = (gl_signal_stack){.start = NULL};
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
    void *start = mmap(NULL, size, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (start == MAP_FAILED) {
        return;
    }
    stack_t own = {.ss_sp = start, .ss_size = size};
    if (sigaltstack(&own, NULL) != 0) {
        munmap(start, size);
        return;
    }
    stack->start = start;
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

/* Has the thread that was given it ended for certain? */
static inline bool
gl_signal_stack_is_orphan(const gl_signal_stack *stack)
{
#if defined(__linux__)
    return stack->process == getpid() &&
           syscall(SYS_tgkill, stack->process, stack->thread, 0) != 0 && errno == ESRCH;
#else
    (void)stack;
    return false;
#endif
}

/* Ends it: called by the thread that was given it, or when that is believed to be gone. */
static inline void
gl_signal_stack_end(gl_signal_stack *stack)
{
    if (stack->start != NULL && (gl_signal_stack_take(stack) || gl_signal_stack_is_orphan(stack))) {
        munmap(stack->start, stack->size);
    }
    stack->start = NULL;
}

#endif

#endif
