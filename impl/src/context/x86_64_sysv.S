/* x86-64, System V ABI (psABI 1.0, sections 3.2.1 "Registers" and 3.2.3 "Parameter Passing").
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       mxcsr (4 bytes), x87 control word (2 bytes), unused (2 bytes)
 *     +8       r15
 *     +16      r14
 *     +24      r13
 *     +32      r12
 *     +40      rbx
 *     +48      rbp
 *     +56      return address into the caller of gl_context_switch or gl_context_start
 *
 * Callee-saved state by the psABI: rbx, rbp, r12-r15, the control bits of mxcsr and the x87
 * control word. No vector register is callee-saved. The status bits of mxcsr travel with its
 * control bits, which the psABI allows.
 *
 * Not supported: CET shadow stacks (the `ret` below returns to an address that the shadow stack
 * of the thread does not have on top). The code carries endbr64 where the compiler asks for
 * indirect-branch tracking.
 *
 * macOS keeps to the same rules.
 */

/* One frame, written and read by the two functions below, cannot drift apart. Constants are in
 * parentheses: in a macro without parameters Apple's assembler takes `$8` for the ninth of them. */
.macro SAVE_FRAME
    pushq %rbp
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbp, 0
    pushq %rbx
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %rbx, 0
    pushq %r12
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r12, 0
    pushq %r13
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r13, 0
    pushq %r14
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r14, 0
    pushq %r15
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %r15, 0
    subq $(8), %rsp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%rsp)
    fnstcw 4(%rsp)
.endm

.macro RESTORE_FRAME_AND_RETURN
    ldmxcsr (%rsp)
    fldcw 4(%rsp)
    addq $(8), %rsp
    .cfi_adjust_cfa_offset -8
    popq %r15
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r15
    popq %r14
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r14
    popq %r13
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r13
    popq %r12
    .cfi_adjust_cfa_offset -8
    .cfi_restore %r12
    popq %rbx
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbx
    popq %rbp
    .cfi_adjust_cfa_offset -8
    .cfi_restore %rbp
    ret
.endm

.text

/* void gl_context_switch(void **save [rdi], void *resume [rsi]) */
GL_FUNCTION(gl_context_switch)
    GL_LANDING_PAD
    SAVE_FRAME
    movq %rsp, (%rdi)
    /* From here on we are the context suspended at `resume`. Its frame has the same shape, so
     * the unwind information above holds for it too. */
    movq %rsi, %rsp
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [rdi], void *top [rsi], gl_context_entry entry [rdx],
 *                       void *argument [rcx]) */
GL_FUNCTION(gl_context_start)
    GL_LANDING_PAD
    SAVE_FRAME
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    /* The outermost frame of the new stack: rip and rsp are undefined in it, so that every
     * unwinder (gdb, the C++ runtime, perf) stops here; rbp = 0 ends frame-pointer chains. The
     * control words stay those of the starter, as for a new thread. */
    .cfi_remember_state
    .cfi_undefined %rip
    xorl %ebp, %ebp
    movq %rcx, %rdi
    /* rsp is 16-byte aligned here, as section 3.2.2 wants it at a call. */
    call *%rdx
    /* The entry has returned the stack pointer of the context that continues. */
    movq %rax, %rsp
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
