/* Macros shared by the assembly files: how a function begins and ends on this object format. */
#ifndef GREENLANE_CONTEXT_ASM_H
#define GREENLANE_CONTEXT_ASM_H

/* Branch-protection landing pads, emitted only where the compiler was asked for them, so that
 * the object never claims a property (`.note.gnu.property`) that the code does not have. */
#if defined(__CET__) && (defined(__x86_64__) || defined(__i386__))
#include <cet.h>
#else
#define _CET_ENDBR
#endif

/* This is assembly, which clang-format does not know. */
/* clang-format off */
#if defined(__ELF__)
#define GL_FUNCTION(name)                                                                          \
    .globl name;                                                                                   \
    .hidden name;                                                                                  \
    .type name, %function;                                                                        \
    .balign 16;                                                                                    \
    name:                                                                                          \
    .cfi_startproc
#define GL_END(name)                                                                               \
    .cfi_endproc;                                                                                  \
    .size name, .- name
/* Without this note the linker would make the whole process' stacks executable. */
#define GL_NO_EXECUTABLE_STACK .section .note.GNU-stack, "", %progbits
#else
#error "greenlane: no assembly macros for this object format; see impl/PORTING.md"
#endif

#endif
