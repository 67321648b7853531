/* x86-64, Windows ("x64 calling convention" and "x64 exception handling" of Microsoft's
 * documentation of MSVC).
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content                              offset   content
 *     +0       xmm6 ... xmm15                       +216     r15
 *     +160     mxcsr (4 bytes),                     +224     r14
 *              x87 control word (2 bytes)           +232     r13
 *     +168     ExceptionList                        +240     r12
 *     +176     StackBase                            +248     rdi
 *     +184     StackLimit                           +256     rsi
 *     +192     DeallocationStack                    +264     rbx
 *     +200     GuaranteedStackBytes (4 bytes)       +272     rbp
 *     +204     12 bytes unused                      +280     return address
 *
 * Callee-saved state by the convention: rbx, rbp, rdi, rsi, r12-r15, all of xmm6-xmm15 (of ymm and
 * zmm the rest is not), the control bits of mxcsr and the x87 control word.
 *
 * The system knows the stack that a thread runs on by five words of the thread's block (TEB, which
 * gs points to), and so these belong to a stack, as they belong to a fiber. The kernel commits a
 * page when the one above it is first touched, but between DeallocationStack and StackBase only.
 * Functions with large frames touch each page down to StackLimit. A frame outside of StackLimit and
 * StackBase ends the search for an exception handler. ExceptionList, of no use to Windows for x86-64,
 * is looked at by Wine.
 *
 * What lies at the top of a stack, gl_lane's first two words, tells the bounds of a new one. When
 * a stack is left for good, what has been committed of it is written there.
 *
 * Not kept: rax, rcx, rdx, r8-r11, xmm0-xmm5; what fibers have of their own (fiber data, fiber-local
 * storage, activation contexts), which stays that of the thread.
 * Not supported: shadow stacks (hardware-enforced stack protection).
 *
 * Unwinding. The system's tables describe a prologue, from which what undoes it follows; where a
 * frame is left in another way than by an epilogue of the prescribed shape, it must be complete. So
 * there is one place that leaves frames.
 */

#define TEB_EXCEPTION_LIST %gs:0x0
#define TEB_STACK_BASE %gs:0x8
#define TEB_STACK_LIMIT %gs:0x10
#define TEB_DEALLOCATION_STACK %gs:0x1478
#define TEB_GUARANTEED_STACK_BYTES %gs:0x1748

/* One frame, written and read in one way, cannot drift apart. rax is free. The stack pointer is a
 * multiple of 16 once the frame is there: unwinders, too, load whole vector registers from it. */
.macro SAVE_FRAME
    pushq %rbp
    .seh_pushreg %rbp
    pushq %rbx
    .seh_pushreg %rbx
    pushq %rsi
    .seh_pushreg %rsi
    pushq %rdi
    .seh_pushreg %rdi
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
    movaps %xmm6, 0(%rsp)
    .seh_savexmm %xmm6, 0
    movaps %xmm7, 16(%rsp)
    .seh_savexmm %xmm7, 16
    movaps %xmm8, 32(%rsp)
    .seh_savexmm %xmm8, 32
    movaps %xmm9, 48(%rsp)
    .seh_savexmm %xmm9, 48
    movaps %xmm10, 64(%rsp)
    .seh_savexmm %xmm10, 64
    movaps %xmm11, 80(%rsp)
    .seh_savexmm %xmm11, 80
    movaps %xmm12, 96(%rsp)
    .seh_savexmm %xmm12, 96
    movaps %xmm13, 112(%rsp)
    .seh_savexmm %xmm13, 112
    movaps %xmm14, 128(%rsp)
    .seh_savexmm %xmm14, 128
    movaps %xmm15, 144(%rsp)
    .seh_savexmm %xmm15, 144
    .seh_endprologue
    stmxcsr 160(%rsp)
    fnstcw 164(%rsp)
    movq TEB_EXCEPTION_LIST, %rax
    movq %rax, 168(%rsp)
    movq TEB_STACK_BASE, %rax
    movq %rax, 176(%rsp)
    movq TEB_STACK_LIMIT, %rax
    movq %rax, 184(%rsp)
    movq TEB_DEALLOCATION_STACK, %rax
    movq %rax, 192(%rsp)
    movl TEB_GUARANTEED_STACK_BYTES, %eax
    movl %eax, 200(%rsp)
.endm

.macro RESTORE_FRAME_AND_RETURN
    ldmxcsr 160(%rsp)
    fldcw 164(%rsp)
    movq 168(%rsp), %rax
    movq %rax, TEB_EXCEPTION_LIST
    movq 176(%rsp), %rax
    movq %rax, TEB_STACK_BASE
    movq 184(%rsp), %rax
    movq %rax, TEB_STACK_LIMIT
    movq 192(%rsp), %rax
    movq %rax, TEB_DEALLOCATION_STACK
    movl 200(%rsp), %eax
    movl %eax, TEB_GUARANTEED_STACK_BYTES
    movaps 0(%rsp), %xmm6
    movaps 16(%rsp), %xmm7
    movaps 32(%rsp), %xmm8
    movaps 48(%rsp), %xmm9
    movaps 64(%rsp), %xmm10
    movaps 80(%rsp), %xmm11
    movaps 96(%rsp), %xmm12
    movaps 112(%rsp), %xmm13
    movaps 128(%rsp), %xmm14
    movaps 144(%rsp), %xmm15
    /* From here on it is an epilogue: what it may consist of is prescribed. */
    addq $216, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rdi
    popq %rsi
    popq %rbx
    popq %rbp
    ret
.endm

.text

/* void gl_context_switch(void **save [rcx], void *resume [rdx]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    movq %rsp, (%rcx)
gl_continue:
    /* From here on we are the context suspended at rdx. Its frame has the same shape, so the
     * unwind information above holds for it too. */
    movq %rdx, %rsp
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [rcx], void *top [rdx], gl_context_entry entry [r8],
 *                       void *argument [r9]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    movq %rsp, (%rcx)
    movq %rdx, TEB_STACK_BASE
    movq 0(%rdx), %rax
    movq %rax, TEB_DEALLOCATION_STACK
    movq 8(%rdx), %rax
    movq %rax, TEB_STACK_LIMIT
    movl $0, TEB_GUARANTEED_STACK_BYTES
    movq $-1, TEB_EXCEPTION_LIST
    /* The return address of gl_run_entry: nobody's. */
    movq $0, -8(%rdx)
    leaq -48(%rdx), %rsp
    jmp gl_run_entry
GL_END(gl_context_start)

/* The outermost frame of a new stack: 40 bytes, of which 32 are owed to the callee, below a return
 * address of 0, at which every unwinder stops. rbp = 0 ends frame-pointer chains. The control words
 * stay those of the starter, as for a new thread. An exception that nobody has handled below is
 * handled here, as at the outermost frame of a thread. */
    .def gl_run_entry
    .scl 3
    .type 32
    .endef
    .seh_proc gl_run_entry
    .seh_handler gl_context_unhandled, @except
gl_run_entry:
    .seh_stackalloc 40
    .seh_endprologue
    xorl %ebp, %ebp
    movq %r9, %rcx
    call *%r8
    /* The entry has returned the stack pointer of the context that continues. What this stack has
     * committed goes to the second word above its top. */
    movq TEB_STACK_LIMIT, %rcx
    movq %rcx, 48 + 8(%rsp)
    movq %rax, %rdx
    jmp gl_continue
    .seh_endproc
