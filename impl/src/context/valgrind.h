/* What valgrind is told of stacks: in builds with -DGL_VALGRIND, which need its headers. In others
 * nothing.
 *
 * It follows the stack pointer: what the pointer moves away from is forbidden, what it moves over
 * is undefined. A jump to a stack that it knows is neither. */
#ifndef GREENLANE_CONTEXT_VALGRIND_H
#define GREENLANE_CONTEXT_VALGRIND_H

#if defined(GL_VALGRIND)
#include <valgrind/memcheck.h>
#include <valgrind/valgrind.h>

/* This is a stack: `number` becomes what valgrind calls it. */
#define gl_valgrind_add(number, low, high) ((number) = VALGRIND_STACK_REGISTER(low, high))
#define gl_valgrind_remove(number) VALGRIND_STACK_DEREGISTER(number)
/* Frames will be copied to this part of a stack that is not in use. */
#define gl_valgrind_allow(low, size) VALGRIND_MAKE_MEM_UNDEFINED(low, size)
#else
#define gl_valgrind_add(number, low, high) ((void)0)
#define gl_valgrind_remove(number) ((void)0)
#define gl_valgrind_allow(low, size) ((void)0)
#endif

#endif
