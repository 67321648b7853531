/* Which ABI the compiler is making code for: its name, for people, and its assembly file.
 *
 * The choice is made by the compiler's own macros, never by the machine's name: a cross compiler
 * and a 32-bit compiler on a 64-bit machine then come out right. */
#ifndef GREENLANE_CONTEXT_ABI_H
#define GREENLANE_CONTEXT_ABI_H

#if defined(GL_CONTEXT_BY_UCONTEXT)
#define GL_ABI_NAME "ucontext"
#elif defined(__x86_64__) && defined(_WIN32)
#define GL_ABI_NAME "x86-64 Windows"
#define GL_ABI_FILE "x86_64_win64.S"
#elif defined(__x86_64__) && (defined(__ELF__) || defined(__MACH__)) && !defined(__ILP32__)
#define GL_ABI_NAME "x86-64 System V"
#define GL_ABI_FILE "x86_64_sysv.S"
#elif defined(__i386__) && defined(__ELF__)
#define GL_ABI_NAME "i386 System V"
#define GL_ABI_FILE "i386_sysv.S"
#elif defined(__aarch64__) && (defined(__ELF__) || defined(__MACH__)) && !defined(__ILP32__)
#define GL_ABI_NAME "AArch64 AAPCS64"
#define GL_ABI_FILE "aarch64_aapcs.S"
#elif defined(__arm__) && defined(__ARM_EABI__) && defined(__ELF__)
#if defined(__ARM_FP)
#define GL_ABI_NAME "Arm AAPCS32 with VFP"
#else
#define GL_ABI_NAME "Arm AAPCS32"
#endif
#define GL_ABI_FILE "arm_aapcs.S"
#elif defined(__riscv) && __riscv_xlen == 64 && defined(__ELF__)
#define GL_ABI_NAME "RISC-V LP64"
#define GL_ABI_FILE "riscv64.S"
#elif defined(__powerpc64__) && _CALL_ELF == 2 && defined(__LITTLE_ENDIAN__)
#define GL_ABI_NAME "Power ELFv2"
#define GL_ABI_FILE "ppc64_elfv2.S"
#elif defined(__s390x__)
#define GL_ABI_NAME "IBM Z"
#define GL_ABI_FILE "s390x.S"
#elif defined(__loongarch64)
#define GL_ABI_NAME "LoongArch LP64"
#define GL_ABI_FILE "loongarch64.S"
#elif defined(__mips64) && _MIPS_SIM == _ABI64
#define GL_ABI_NAME "MIPS n64"
#define GL_ABI_FILE "mips64_n64.S"
#else
#error "greenlane: no context switch for this ABI: see impl/PORTING.md, or build -Dcontext=ucontext"
#endif

#endif
