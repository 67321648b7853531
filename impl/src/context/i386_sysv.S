/* i386, System V ABI (Intel386 psABI 1.1, sections 2.2.1 "Registers" and 2.2.3 "Parameter Passing").
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       mxcsr
 *     +4       x87 control word (2 bytes), unused (2 bytes)
 *     +8       edi
 *     +12      esi
 *     +16      ebx
 *     +20      ebp
 *     +24      return address into the caller of gl_context_switch or gl_context_start
 *
 * Callee-saved state by the psABI: ebx, ebp, esi, edi, the control bits of mxcsr and the x87
 * control word. No vector register is callee-saved, and the x87 stack is empty at a call. The
 * status bits of mxcsr travel with its control bits, which the psABI allows.
 *
 * mxcsr is kept even where the compiler makes no use of SSE, since the C library does: a processor
 * without SSE (before 1999) is not supported.
 *
 * Not kept: eax, ecx, edx, segment registers (gs is the thread pointer).
 * Not supported: CET shadow stacks, as on x86-64.
 */

/* One frame, written and read by the two functions below, cannot drift apart. */
.macro SAVE_FRAME
    pushl %ebp
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebp, 0
    pushl %ebx
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %ebx, 0
    pushl %esi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %esi, 0
    pushl %edi
    .cfi_adjust_cfa_offset 4
    .cfi_rel_offset %edi, 0
    subl $8, %esp
    .cfi_adjust_cfa_offset 8
    stmxcsr (%esp)
    fnstcw 4(%esp)
.endm

.macro RESTORE_FRAME_AND_RETURN
    ldmxcsr (%esp)
    fldcw 4(%esp)
    addl $8, %esp
    .cfi_adjust_cfa_offset -8
    popl %edi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %edi
    popl %esi
    .cfi_adjust_cfa_offset -4
    .cfi_restore %esi
    popl %ebx
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebx
    popl %ebp
    .cfi_adjust_cfa_offset -4
    .cfi_restore %ebp
    ret
.endm

.text

/* void gl_context_switch(void **save [4(esp)], void *resume [8(esp)]) */
GL_FUNCTION(gl_context_switch)
    GL_LANDING_PAD
    movl 4(%esp), %eax
    movl 8(%esp), %edx
    SAVE_FRAME
    movl %esp, (%eax)
    /* From here on we are the context suspended at `resume`. */
    movl %edx, %esp
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [4(esp)], void *top [8(esp)], gl_context_entry entry [12(esp)],
 *                       void *argument [16(esp)]) */
GL_FUNCTION(gl_context_start)
    GL_LANDING_PAD
    SAVE_FRAME
    movl 28(%esp), %eax
    movl 32(%esp), %edx
    movl 36(%esp), %ecx
    movl 40(%esp), %ebx
    movl %esp, (%eax)
    /* The argument is passed on the stack, which is 16-byte aligned at the call. */
    subl $16, %edx
    movl %ebx, (%edx)
    movl %edx, %esp
    /* The outermost frame of the new stack: eip is undefined in it, so that every unwinder stops
     * here; ebp = 0 ends frame-pointer chains. The control words stay those of the starter, as for
     * a new thread. */
    .cfi_remember_state
    .cfi_undefined %eip
    xorl %ebp, %ebp
    call *%ecx
    /* The entry has returned the stack pointer of the context that continues. */
    movl %eax, %esp
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
