/* RISC-V, 64 bits, psABI 1.0 ("Calling Conventions": "Integer Register Convention", "Floating-point
 * Register Convention"), LP64D and LP64.
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       ra (return address)
 *     +8       s0 (frame pointer), s1 ... s11
 *     +104     frm, the rounding mode; unused where there is no floating-point unit
 *     +112     fs0 ... fs11 (LP64D only)
 *     112 or 208 bytes in all
 *
 * Kept, because a function must preserve them: s0-s11, sp, and with LP64D fs0-fs11. The rounding mode
 * belongs to the thread by the psABI; switch.h promises it. It is written where it differs only,
 * since that stalls the floating-point unit.
 *
 * Not kept: t0-t6, a0-a7, ft0-ft11, fa0-fa7; fflags; vector registers and vector state, all of which are
 * caller-saved; gp and tp, which never change within a thread.
 * Not supported: LP64F and LP64Q, the shadow stacks of Zicfiss.
 */

#if defined(__riscv_float_abi_double)
#define FRAME 208
#elif defined(__riscv_float_abi_soft)
#define FRAME 112
#else
#error "greenlane: riscv64.S knows the ABIs LP64D and LP64 only; see impl/PORTING.md"
#endif

.macro SAVE register, offset
    sd \register, \offset(sp)
    .cfi_rel_offset \register, \offset
.endm

.macro LOAD register, offset
    ld \register, \offset(sp)
    .cfi_restore \register
.endm

.macro SAVE_FLOAT register, offset
    fsd \register, \offset(sp)
    .cfi_rel_offset \register, \offset
.endm

.macro LOAD_FLOAT register, offset
    fld \register, \offset(sp)
    .cfi_restore \register
.endm

/* One frame, written and read by the two functions below, cannot drift apart. t0 and t1 are free. */
.macro SAVE_FRAME
    addi sp, sp, -FRAME
    .cfi_adjust_cfa_offset FRAME
    SAVE ra, 0
    SAVE s0, 8
    SAVE s1, 16
    SAVE s2, 24
    SAVE s3, 32
    SAVE s4, 40
    SAVE s5, 48
    SAVE s6, 56
    SAVE s7, 64
    SAVE s8, 72
    SAVE s9, 80
    SAVE s10, 88
    SAVE s11, 96
#if defined(__riscv_flen)
    frrm t0
    sd t0, 104(sp)
#endif
#if defined(__riscv_float_abi_double)
    SAVE_FLOAT fs0, 112
    SAVE_FLOAT fs1, 120
    SAVE_FLOAT fs2, 128
    SAVE_FLOAT fs3, 136
    SAVE_FLOAT fs4, 144
    SAVE_FLOAT fs5, 152
    SAVE_FLOAT fs6, 160
    SAVE_FLOAT fs7, 168
    SAVE_FLOAT fs8, 176
    SAVE_FLOAT fs9, 184
    SAVE_FLOAT fs10, 192
    SAVE_FLOAT fs11, 200
#endif
.endm

.macro RESTORE_FRAME_AND_RETURN
#if defined(__riscv_flen)
    frrm t0
    ld t1, 104(sp)
    beq t0, t1, 1f
    fsrm t1
1:
#endif
#if defined(__riscv_float_abi_double)
    LOAD_FLOAT fs0, 112
    LOAD_FLOAT fs1, 120
    LOAD_FLOAT fs2, 128
    LOAD_FLOAT fs3, 136
    LOAD_FLOAT fs4, 144
    LOAD_FLOAT fs5, 152
    LOAD_FLOAT fs6, 160
    LOAD_FLOAT fs7, 168
    LOAD_FLOAT fs8, 176
    LOAD_FLOAT fs9, 184
    LOAD_FLOAT fs10, 192
    LOAD_FLOAT fs11, 200
#endif
    LOAD s0, 8
    LOAD s1, 16
    LOAD s2, 24
    LOAD s3, 32
    LOAD s4, 40
    LOAD s5, 48
    LOAD s6, 56
    LOAD s7, 64
    LOAD s8, 72
    LOAD s9, 80
    LOAD s10, 88
    LOAD s11, 96
    LOAD ra, 0
    addi sp, sp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    ret
.endm

.text

/* void gl_context_switch(void **save [a0], void *resume [a1]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    sd sp, 0(a0)
    /* From here on we are the context suspended at `resume`. */
    mv sp, a1
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [a0], void *top [a1], gl_context_entry entry [a2],
 *                       void *argument [a3]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    sd sp, 0(a0)
    mv sp, a1
    /* The outermost frame of the new stack: the return address is undefined in it, so that every
     * unwinder stops here; s0 = 0 ends frame-pointer chains. */
    .cfi_remember_state
    .cfi_undefined ra
    mv s0, zero
    mv a0, a3
    jalr a2
    /* The entry has returned the stack pointer of the context that continues. */
    mv sp, a0
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
