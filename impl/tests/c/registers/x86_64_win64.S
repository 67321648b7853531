/* x86-64 Windows: rbx, rbp, rdi, rsi, r12-r15, xmm6-xmm15. */

/* call_with_registers(values [rcx], call [rdx]) */
FUNCTION(call_with_registers)
    pushq %rbp
    .seh_pushreg %rbp
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rdi
    .seh_pushreg %rdi
    pushq %rsi
    .seh_pushreg %rsi
    pushq %r12
    .seh_pushreg %r12
    pushq %r13
    .seh_pushreg %r13
    pushq %r14
    .seh_pushreg %r14
    pushq %r15
    .seh_pushreg %r15
    subq $216, %rsp
    .seh_stackalloc 216
    movaps %xmm6, 32(%rsp)
    .seh_savexmm %xmm6, 32
    movaps %xmm7, 48(%rsp)
    .seh_savexmm %xmm7, 48
    movaps %xmm8, 64(%rsp)
    .seh_savexmm %xmm8, 64
    movaps %xmm9, 80(%rsp)
    .seh_savexmm %xmm9, 80
    movaps %xmm10, 96(%rsp)
    .seh_savexmm %xmm10, 96
    movaps %xmm11, 112(%rsp)
    .seh_savexmm %xmm11, 112
    movaps %xmm12, 128(%rsp)
    .seh_savexmm %xmm12, 128
    movaps %xmm13, 144(%rsp)
    .seh_savexmm %xmm13, 144
    movaps %xmm14, 160(%rsp)
    .seh_savexmm %xmm14, 160
    movaps %xmm15, 176(%rsp)
    .seh_savexmm %xmm15, 176
    .seh_endprologue
    movq %rcx, 192(%rsp)
    movq 0(%rcx), %rbx
    movq 8(%rcx), %rbp
    movq 16(%rcx), %rdi
    movq 24(%rcx), %rsi
    movq 32(%rcx), %r12
    movq 40(%rcx), %r13
    movq 48(%rcx), %r14
    movq 56(%rcx), %r15
    movups 64(%rcx), %xmm6
    movups 80(%rcx), %xmm7
    movups 96(%rcx), %xmm8
    movups 112(%rcx), %xmm9
    movups 128(%rcx), %xmm10
    movups 144(%rcx), %xmm11
    movups 160(%rcx), %xmm12
    movups 176(%rcx), %xmm13
    movups 192(%rcx), %xmm14
    movups 208(%rcx), %xmm15
    movq %rsp, 40(%rdx)
    movq 0(%rdx), %rax
    movq 8(%rdx), %rcx
    movq 24(%rdx), %r8
    movq 32(%rdx), %r9
    movq 16(%rdx), %rdx
    call *%rax
    movq 192(%rsp), %rcx
    movq %rbx, 0(%rcx)
    movq %rbp, 8(%rcx)
    movq %rdi, 16(%rcx)
    movq %rsi, 24(%rcx)
    movq %r12, 32(%rcx)
    movq %r13, 40(%rcx)
    movq %r14, 48(%rcx)
    movq %r15, 56(%rcx)
    movups %xmm6, 64(%rcx)
    movups %xmm7, 80(%rcx)
    movups %xmm8, 96(%rcx)
    movups %xmm9, 112(%rcx)
    movups %xmm10, 128(%rcx)
    movups %xmm11, 144(%rcx)
    movups %xmm12, 160(%rcx)
    movups %xmm13, 176(%rcx)
    movups %xmm14, 192(%rcx)
    movups %xmm15, 208(%rcx)
    movaps 32(%rsp), %xmm6
    movaps 48(%rsp), %xmm7
    movaps 64(%rsp), %xmm8
    movaps 80(%rsp), %xmm9
    movaps 96(%rsp), %xmm10
    movaps 112(%rsp), %xmm11
    movaps 128(%rsp), %xmm12
    movaps 144(%rsp), %xmm13
    movaps 160(%rsp), %xmm14
    movaps 176(%rsp), %xmm15
    addq $216, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rsi
    popq %rdi
    popq %rbx
    popq %rbp
    ret
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [rcx]). The 32 bytes above the return address are its own. */
FUNCTION(entry_that_reports)
    .seh_endprologue
    movq %rbp, 8(%rcx)
    leaq 8(%rsp), %rax
    movq %rax, 24(%rcx)
    movq $-1, 8(%rsp)
    movq $-1, 16(%rsp)
    movq $-1, 24(%rsp)
    movq $-1, 32(%rsp)
    movq 0(%rcx), %rax
    ret
END_FUNCTION(entry_that_reports)

/* get_vector_control() */
FUNCTION(get_vector_control)
    .seh_endprologue
    stmxcsr 8(%rsp)
    movl 8(%rsp), %eax
    ret
END_FUNCTION(get_vector_control)

/* What test_windows.c needs. */

/* bounds_in_teb(char **base [rcx], char **limit [rdx]) */
FUNCTION(bounds_in_teb)
    .seh_endprologue
    movq %gs:8, %rax
    movq %rax, (%rcx)
    movq %gs:16, %rax
    movq %rax, (%rdx)
    ret
END_FUNCTION(bounds_in_teb)

/* read_from(const char *address [rcx]): an int. The instruction that reads is two bytes long. */
FUNCTION(read_from)
    .seh_endprologue
    movl (%rcx), %eax
    ret
END_FUNCTION(read_from)
