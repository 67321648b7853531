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
enum { REGISTER_WORDS = 2 * (18 + 18) + 4 * 12 + 1 + 2 };
#elif defined(__s390x__)
enum { REGISTER_WORDS = 2 * (8 + 8) };
#elif defined(__loongarch64)
enum { REGISTER_WORDS = 2 * (10 + 8) };
#elif defined(__mips64)
enum { REGISTER_WORDS = 2 * (10 + 8) };
#else
#error "tests/c/registers.h: no number for this ABI"
#endif

/* A call to be made, of any function whose arguments are as wide as a pointer. */
typedef struct {
    void (*f)(void);
    void *arguments[4]; /* where it has fewer, the last ones are of no use */
    void *sp;           /* becomes the stack pointer at the call */
} prepared_call;

/* Loads the registers from `values`, makes the call, and writes to `values` what the registers hold
 * then: the same, or f has lost some. If f is the switch itself, nothing in C has a chance to save
 * a register that the switch loses. */
void call_with_registers(uint32_t *values, prepared_call *call);

/* What the first function of a new context has found. */
typedef struct {
    void *resume;        /* whom it was to continue */
    void *frame_pointer; /* as it was, where frame-pointer chains are a convention; otherwise
                            untouched, */
    void *back_chain;    /* as is this where the ABI has none */
    void *sp;            /* the stack pointer at its call */
} report;

/* A gl_context_entry: fills in the report that is its argument, and overwrites all that the ABI
 * gives it of the stack of its caller. */
void *entry_that_reports(void *report);

/* What <fenv.h> does not tell. */
#if defined(__i386__) || defined(__x86_64__)
/* The control word of the vector unit (mxcsr). */
unsigned get_vector_control(void);
#endif
#if defined(__powerpc64__) || defined(__s390x__)
/* How decimal numbers are rounded: 0-7. */
unsigned get_decimal_rounding(void);
void set_decimal_rounding(unsigned bits);
#endif

#if defined(__ARM_FEATURE_PAC_DEFAULT)
/* A return address, signed and not. The same where the processor does not sign, and seldom by
 * chance. */
uintptr_t with_signature(uintptr_t address);
uintptr_t without_signature(uintptr_t address);
#endif

#endif
