/* Includes the one assembly file for the ABI that the compiler is making code for. The choice is
 * made by the compiler's own macros, never by the machine's name: a cross compiler and a 32-bit
 * compiler on a 64-bit machine then come out right. */
#include "asm.h"

#if defined(GL_CONTEXT_BY_UCONTEXT)
/* Nothing: ucontext.c does it. */
#elif defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__)
#include "x86_64_sysv.S"
#elif defined(__i386__) && defined(__ELF__)
#include "i386_sysv.S"
#elif defined(__aarch64__) && defined(__ELF__) && !defined(__ILP32__)
#include "aarch64_aapcs.S"
#elif defined(__arm__) && defined(__ARM_EABI__) && defined(__ELF__)
#include "arm_aapcs.S"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__ELF__)
#include "riscv64.S"
#elif defined(__powerpc64__) && _CALL_ELF == 2 && defined(__LITTLE_ENDIAN__)
#include "ppc64_elfv2.S"
#elif defined(__s390x__)
#include "s390x.S"
#elif defined(__loongarch64)
#include "loongarch64.S"
#elif defined(__mips64) && _MIPS_SIM == _ABI64
#include "mips64_n64.S"
#else
#error "greenlane: no context switch for this ABI: see impl/PORTING.md, or build -Dcontext=ucontext"
#endif

GL_NO_EXECUTABLE_STACK
