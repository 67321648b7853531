/* Puts known values into every callee-saved register around a call, and reports which of them the
 * call changed. One section an ABI, chosen as in src/context/switch.S. */

#if defined(__x86_64__)
/* uint64_t call_with_registers(const uint64_t values[6] [rdi], void (*f)(void *) [rsi],
 *                              void *argument [rdx])
 * Loads rbx, rbp, r12-r15 from `values`, calls f(argument), returns a mask with a bit set for each
 * register that came back changed. */
    .text
    .globl call_with_registers
    .type call_with_registers, @function
call_with_registers:
    .cfi_startproc
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    .cfi_adjust_cfa_offset 56
    movq %rsi, %rax
    movq 0(%rdi), %rbx
    movq 8(%rdi), %rbp
    movq 16(%rdi), %r12
    movq 24(%rdi), %r13
    movq 32(%rdi), %r14
    movq 40(%rdi), %r15
    movq %rdx, %rdi
    call *%rax
    movq (%rsp), %rdi
    xorl %eax, %eax
    cmpq 0(%rdi), %rbx
    je 1f
    orl $1, %eax
1:  cmpq 8(%rdi), %rbp
    je 1f
    orl $2, %eax
1:  cmpq 16(%rdi), %r12
    je 1f
    orl $4, %eax
1:  cmpq 24(%rdi), %r13
    je 1f
    orl $8, %eax
1:  cmpq 32(%rdi), %r14
    je 1f
    orl $16, %eax
1:  cmpq 40(%rdi), %r15
    je 1f
    orl $32, %eax
1:  popq %rdi
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -56
    ret
    .cfi_endproc
    .size call_with_registers, . - call_with_registers
#else
#error "tests/c/registers.S: no section for this ABI"
#endif

    .section .note.GNU-stack, "", %progbits
