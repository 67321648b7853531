/* x86-64: rbx, rbp, r12-r15. */

/* call_with_registers(values [rdi], call [rsi]) */
FUNCTION(call_with_registers)
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    pushq %rdi
    .cfi_adjust_cfa_offset 56
    movq 0(%rdi), %rbx
    movq 8(%rdi), %rbp
    movq 16(%rdi), %r12
    movq 24(%rdi), %r13
    movq 32(%rdi), %r14
    movq 40(%rdi), %r15
    movq %rsp, 40(%rsi)
    movq 0(%rsi), %rax
    movq 8(%rsi), %rdi
    movq 24(%rsi), %rdx
    movq 32(%rsi), %rcx
    movq 16(%rsi), %rsi
    call *%rax
    popq %rdi
    movq %rbx, 0(%rdi)
    movq %rbp, 8(%rdi)
    movq %r12, 16(%rdi)
    movq %r13, 24(%rdi)
    movq %r14, 32(%rdi)
    movq %r15, 40(%rdi)
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -56
    ret
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [rdi]) */
FUNCTION(entry_that_reports)
    movq %rbp, 8(%rdi)
    leaq 8(%rsp), %rax
    movq %rax, 24(%rdi)
    movq 0(%rdi), %rax
    ret
END_FUNCTION(entry_that_reports)

/* get_vector_control() */
FUNCTION(get_vector_control)
    stmxcsr -8(%rsp)
    movl -8(%rsp), %eax
    ret
END_FUNCTION(get_vector_control)
