/* 32-bit Arm, AAPCS32 (2023Q3, sections 6.1 "Machine Registers" and 6.2 "Processes, Memory and the
 * Stack"), with floating-point registers (VFP, whether arguments are passed in them or not) and without.
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       fpscr; unused without VFP
 *     +4       r4 ... r11
 *     +36      lr (return address)
 *     +40      d8 ... d15 (VFP only)
 *     40 or 104 bytes in all
 *
 * Kept, because a function must preserve them: r4-r11, sp, and with VFP d8-d15. fpscr has the rounding
 * mode, which AAPCS32 leaves to the program; switch.h promises it. Its flags travel with it.
 *
 * Not kept: r0-r3, r12, d0-d7, d16-d31; r9 is kept like the others: Linux gives it no other role; the
 * thread pointer. Code without VFP does not keep fpscr, even if the processor has one.
 *
 * The code is in the Arm instruction set; callers in Thumb are served by the linker and by `bx`.
 * Not supported: processors that have Thumb only (Cortex-M), FDPIC.
 *
 * Exceptions are unwound by Arm's own tables (.fnstart and so on), which say one thing about a whole
 * function. So what is the outermost frame of a new stack is a function of its own: run_entry.
 */
.syntax unified
.arm
#if defined(__ARM_FP)
.fpu vfpv2
#endif
/* For debuggers; nothing here is loaded. */
.cfi_sections .debug_frame

.macro SAVE_FRAME
#if defined(__ARM_FP)
    vpush {d8-d15}
    .vsave {d8-d15}
    .cfi_adjust_cfa_offset 64
#endif
    push {r4-r11, lr}
    .save {r4-r11, lr}
    .cfi_adjust_cfa_offset 36
    .cfi_rel_offset r4, 0
    .cfi_rel_offset r5, 4
    .cfi_rel_offset r6, 8
    .cfi_rel_offset r7, 12
    .cfi_rel_offset r8, 16
    .cfi_rel_offset r9, 20
    .cfi_rel_offset r10, 24
    .cfi_rel_offset r11, 28
    .cfi_rel_offset lr, 32
    sub sp, sp, #4
    .pad #4
    .cfi_adjust_cfa_offset 4
#if defined(__ARM_FP)
    vmrs r12, fpscr
    str r12, [sp]
#endif
.endm

/* A macro of its own, for run_entry has no unwind information. */
.macro RESTORE_FRAME_AND_RETURN
#if defined(__ARM_FP)
    ldr r12, [sp]
    vmsr fpscr, r12
#endif
    add sp, sp, #4
    pop {r4-r11, lr}
#if defined(__ARM_FP)
    vpop {d8-d15}
#endif
    bx lr
.endm

.text

/* void gl_context_switch(void **save [r0], void *resume [r1]) */
GL_FUNCTION(gl_context_switch)
    .fnstart
    SAVE_FRAME
    str sp, [r0]
    /* From here on we are the context suspended at `resume`. */
    mov sp, r1
    RESTORE_FRAME_AND_RETURN
    .fnend
GL_END(gl_context_switch)

/* void gl_context_start(void **save [r0], void *top [r1], gl_context_entry entry [r2],
 *                       void *argument [r3]) */
GL_FUNCTION(gl_context_start)
    .fnstart
    SAVE_FRAME
    str sp, [r0]
    mov sp, r1
    b run_entry
    .fnend
GL_END(gl_context_start)

/* The outermost frame of the new stack: every unwinder stops here; r11 = 0 ends frame-pointer chains. */
.type run_entry, %function
run_entry:
    .cfi_startproc
    .fnstart
    .cantunwind
    .cfi_undefined lr
    mov r11, #0
    mov r0, r3
#if __ARM_ARCH >= 5
    blx r2
#else
    mov lr, pc
    bx r2
#endif
    /* The entry has returned the stack pointer of the context that continues. */
    mov sp, r0
    RESTORE_FRAME_AND_RETURN
    .fnend
    .cfi_endproc
.size run_entry, . - run_entry
