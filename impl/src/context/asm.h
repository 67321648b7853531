/* Macros shared by the assembly files: how a function begins and ends on this object format. */
#ifndef GREENLANE_CONTEXT_ASM_H
#define GREENLANE_CONTEXT_ASM_H

/* This is assembly, which clang-format does not know. */
/* clang-format off */

/* x86: landing pads for indirect branches (IBT), and the property that says so, only where the
 * compiler was asked for them (bit 0 of __CET__). The linker keeps what all objects claim, so this
 * one decides that the extension never claims shadow stacks (SHSTK, bit 1), which a switch would
 * break: the compiler's <cet.h>, made for the same purpose, claims both where both were asked for. */
#if defined(__CET__) && (__CET__ & 1) && defined(__x86_64__)
#define GL_LANDING_PAD endbr64
#define GL_PROPERTY_ALIGNMENT 8
#elif defined(__CET__) && (__CET__ & 1) && defined(__i386__)
#define GL_LANDING_PAD endbr32
#define GL_PROPERTY_ALIGNMENT 4
#else
#define GL_LANDING_PAD
#endif
#if defined(GL_PROPERTY_ALIGNMENT)
    /* GNU_PROPERTY_X86_FEATURE_1_AND, bit 0 IBT; filled up to the alignment. */
    .pushsection .note.gnu.property, "a"
    .balign GL_PROPERTY_ALIGNMENT
    .long 4, 2f - 1f, 5
    .asciz "GNU"
1:  .long 0xc0000002, 4, 1
    .balign GL_PROPERTY_ALIGNMENT
2:  .popsection
#endif

/* GL_FUNCTION begins a function that the rest of the extension calls, and nobody outside of it. */
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
#elif defined(__MACH__)
/* C's names begin with an underscore. What separates statements on a line differs by CPU there, so
 * these are the assembler's macros. */
.macro gl_function name
    .globl \name
    .private_extern \name
    .p2align 4
\name:
    .cfi_startproc
.endm
#define GL_FUNCTION(name) gl_function _##name
#define GL_END(name) .cfi_endproc
#define GL_NO_EXECUTABLE_STACK
#elif defined(_WIN32)
/* Unwinding is told by the directives .seh_*. Nothing leaves a DLL that does not say so. */
#define GL_FUNCTION(name)                                                                          \
    .globl name;                                                                                   \
    .def name;                                                                                     \
    .scl 2;                                                                                        \
    .type 32;                                                                                      \
    .endef;                                                                                        \
    .balign 16;                                                                                    \
    name:                                                                                          \
    .seh_proc name
#define GL_END(name) .seh_endproc
#define GL_NO_EXECUTABLE_STACK
#else
#error "greenlane: no assembly macros for this object format; see impl/PORTING.md"
#endif

#endif
