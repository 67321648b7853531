/* The callee-saved registers of each ABI, as the files in registers/ load and read them. */
#ifndef GREENLANE_TESTS_REGISTERS_H
#define GREENLANE_TESTS_REGISTERS_H

#include <stdint.h>

/* How many words of 32 bits they have together. */
#if defined(__x86_64__) && defined(_WIN32)
enum { REGISTER_WORDS = 2 * 8 + 4 * 10 };
#elif defined(__x86_64__)
enum { REGISTER_WORDS = 2 * 6 };
#elif defined(__i386__)
enum { REGISTER_WORDS = 4 };
#elif defined(__aarch64__)
enum { REGISTER_WORDS = 2 * (11 + 8) };
#elif defined(__arm__) && defined(__ARM_FP)
enum { REGISTER_WORDS = 8 + 2 * 8 };
#elif defined(__arm__)
enum { REGISTER_WORDS = 8 };
#elif defined(__riscv) && defined(__riscv_float_abi_double)
enum { REGISTER_WORDS = 2 * (12 + 12) };
#elif defined(__riscv)
enum { REGISTER_WORDS = 2 * 12 };
#elif defined(__powerpc64__)
enum { REGISTER_WORDS = 2 * (18 + 18) + 4 * 12 + 1 };
#elif defined(__s390x__)
enum { REGISTER_WORDS = 2 * (8 + 8) };
#elif defined(__loongarch64)
enum { REGISTER_WORDS = 2 * (10 + 8) };
#elif defined(__mips64)
enum { REGISTER_WORDS = 2 * (10 + 8) };
#else
#error "tests/c/registers.h: no number for this ABI"
#endif

/* Loads the registers from `values`, calls f(argument), and writes to `values` what the registers
 * hold then: the same, or f has lost some. */
void call_with_registers(uint32_t *values, void (*f)(void *), void *argument);

#endif
