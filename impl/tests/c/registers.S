/* Puts known values into every callee-saved register around a call, and reads them after it; and
 * the first function of a context that tells how it was called. One file an ABI in registers/,
 * chosen as in src/context/switch.S; registers.h says how many words each has.
 *
 * They are written without the macros of src/context: what is wrong there must not be wrong here
 * in the same way. Caller-saved registers that the switch makes use of hold nonsense at the call,
 * such as -1: what it takes from them by mistake then shows. */

#if defined(__ELF__)
#define FUNCTION(name)                                                                             \
    .globl name;                                                                                   \
    .type name, %function;                                                                         \
    .balign 16;                                                                                    \
    name:                                                                                          \
    .cfi_startproc
#define END_FUNCTION(name)                                                                         \
    .cfi_endproc;                                                                                  \
    .size name, .- name
#elif defined(__MACH__)
.macro function name
    .globl \name
    .p2align 4
\name:
    .cfi_startproc
.endm
#define FUNCTION(name) function _##name
#define END_FUNCTION(name) .cfi_endproc
#else
#define FUNCTION(name)                                                                             \
    .globl name;                                                                                   \
    .balign 16;                                                                                    \
    name:                                                                                          \
    .seh_proc name
#define END_FUNCTION(name) .seh_endproc
#endif

    .text
#if defined(__x86_64__) && defined(_WIN32)
#include "registers/x86_64_win64.S"
#elif defined(__x86_64__)
#include "registers/x86_64_sysv.S"
#elif defined(__i386__)
#include "registers/i386_sysv.S"
#elif defined(__aarch64__)
#include "registers/aarch64_aapcs.S"
#elif defined(__arm__)
#include "registers/arm_aapcs.S"
#elif defined(__riscv)
#include "registers/riscv64.S"
#elif defined(__powerpc64__)
#include "registers/ppc64_elfv2.S"
#elif defined(__s390x__)
#include "registers/s390x.S"
#elif defined(__loongarch64)
#include "registers/loongarch64.S"
#elif defined(__mips64)
#include "registers/mips64_n64.S"
#else
#error "tests/c/registers.S: no file for this ABI"
#endif

#if !defined(__ELF__)
    .end
#endif
    .section .note.GNU-stack, "", %progbits
