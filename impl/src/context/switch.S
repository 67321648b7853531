/* Includes the one assembly file for the ABI that the compiler is making code for. The choice is
 * made by the compiler's own macros, never by the machine's name: a cross compiler and a 32-bit
 * compiler on a 64-bit machine then come out right. */
#include "asm.h"

#if defined(__x86_64__) && defined(__ELF__) && !defined(__ILP32__)
#include "x86_64_sysv.S"
#elif defined(__i386__) && defined(__ELF__)
#include "i386_sysv.S"
#elif defined(__aarch64__) && defined(__ELF__) && !defined(__ILP32__)
#include "aarch64_aapcs.S"
#else
#error "greenlane: no context switch for this ABI: see impl/PORTING.md, or build -Dcontext=ucontext"
#endif

GL_NO_EXECUTABLE_STACK
