/* The callee-saved registers of each ABI, as the files in registers/ load and read them. */
#ifndef GREENLANE_TESTS_REGISTERS_H
#define GREENLANE_TESTS_REGISTERS_H

#include <stdint.h>

/* How many words of 32 bits they have together. */
#if defined(__x86_64__)
enum { REGISTER_WORDS = 2 * 6 };
#elif defined(__i386__)
enum { REGISTER_WORDS = 4 };
#elif defined(__aarch64__)
enum { REGISTER_WORDS = 2 * (11 + 8) };
#else
#error "tests/c/registers.h: no number for this ABI"
#endif

/* Loads the registers from `values`, calls f(argument), and writes to `values` what the registers
 * hold then: the same, or f has lost some. */
void call_with_registers(uint32_t *values, void (*f)(void *), void *argument);

#endif
