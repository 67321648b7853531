/* LoongArch, 64 bits, psABI 2.30 ("Procedure Calling Convention", "General-purpose Registers",
 * "Floating-point Registers"), LP64D and LP64S.
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       $ra (return address)
 *     +8       $fp ($s9), $s0 ... $s8
 *     +88      fcsr3, the rounding mode, and fcsr1, which exceptions trap, in 32 bits each; unused where
 *              there is no floating-point unit
 *     +96      $fs0 ... $fs7 ($f24-$f31; LP64D only)
 *     96 or 160 bytes in all
 *
 * Kept, because a function must preserve them: $s0-$s9, $sp, and with LP64D $fs0-$fs7. Of vector registers
 * only the parts that overlap those are callee-saved. fcsr3 and fcsr1 are the parts of fcsr0 that hold the
 * rounding mode and what traps; switch.h promises them.
 *
 * Not kept: $a0-$a7, $t0-$t8, $fa0-$fa7, $ft0-$ft15, condition flags $fcc0-$fcc7; $tp; $r21, which is
 * reserved.
 */

#if defined(__loongarch_double_float)
#define FRAME 160
#elif defined(__loongarch_soft_float)
#define FRAME 96
#else
#error "greenlane: loongarch64.S knows the ABIs LP64D and LP64S only; see impl/PORTING.md"
#endif

/* Registers have a number for the unwind information, since not every assembler knows their names
 * there. */
.macro SAVE register, number, offset
    st.d \register, $sp, \offset
    .cfi_rel_offset \number, \offset
.endm

.macro LOAD register, number, offset
    ld.d \register, $sp, \offset
    .cfi_restore \number
.endm

.macro SAVE_FLOAT register, number, offset
    fst.d \register, $sp, \offset
    .cfi_rel_offset \number, \offset
.endm

.macro LOAD_FLOAT register, number, offset
    fld.d \register, $sp, \offset
    .cfi_restore \number
.endm

/* One frame, written and read by the two functions below, cannot drift apart. */
.macro SAVE_FRAME
    addi.d $sp, $sp, -FRAME
    .cfi_adjust_cfa_offset FRAME
    SAVE $ra, 1, 0
    SAVE $fp, 22, 8
    SAVE $s0, 23, 16
    SAVE $s1, 24, 24
    SAVE $s2, 25, 32
    SAVE $s3, 26, 40
    SAVE $s4, 27, 48
    SAVE $s5, 28, 56
    SAVE $s6, 29, 64
    SAVE $s7, 30, 72
    SAVE $s8, 31, 80
#if defined(__loongarch_double_float)
    movfcsr2gr $t0, $fcsr3
    st.w $t0, $sp, 88
    movfcsr2gr $t0, $fcsr1
    st.w $t0, $sp, 92
    SAVE_FLOAT $f24, 56, 96
    SAVE_FLOAT $f25, 57, 104
    SAVE_FLOAT $f26, 58, 112
    SAVE_FLOAT $f27, 59, 120
    SAVE_FLOAT $f28, 60, 128
    SAVE_FLOAT $f29, 61, 136
    SAVE_FLOAT $f30, 62, 144
    SAVE_FLOAT $f31, 63, 152
#endif
.endm

.macro RESTORE_FRAME_AND_RETURN
#if defined(__loongarch_double_float)
    ld.w $t0, $sp, 88
    movgr2fcsr $fcsr3, $t0
    ld.w $t0, $sp, 92
    movgr2fcsr $fcsr1, $t0
    LOAD_FLOAT $f24, 56, 96
    LOAD_FLOAT $f25, 57, 104
    LOAD_FLOAT $f26, 58, 112
    LOAD_FLOAT $f27, 59, 120
    LOAD_FLOAT $f28, 60, 128
    LOAD_FLOAT $f29, 61, 136
    LOAD_FLOAT $f30, 62, 144
    LOAD_FLOAT $f31, 63, 152
#endif
    LOAD $fp, 22, 8
    LOAD $s0, 23, 16
    LOAD $s1, 24, 24
    LOAD $s2, 25, 32
    LOAD $s3, 26, 40
    LOAD $s4, 27, 48
    LOAD $s5, 28, 56
    LOAD $s6, 29, 64
    LOAD $s7, 30, 72
    LOAD $s8, 31, 80
    LOAD $ra, 1, 0
    addi.d $sp, $sp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    jr $ra
.endm

.text

/* void gl_context_switch(void **save [$a0], void *resume [$a1]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    st.d $sp, $a0, 0
    /* From here on we are the context suspended at `resume`. */
    move $sp, $a1
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [$a0], void *top [$a1], gl_context_entry entry [$a2],
 *                       void *argument [$a3]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    st.d $sp, $a0, 0
    move $sp, $a1
    /* The outermost frame of the new stack: the return address is undefined in it, so that every
     * unwinder stops here; $fp = 0 ends frame-pointer chains. */
    .cfi_remember_state
    .cfi_undefined 1
    move $fp, $zero
    move $a0, $a3
    jirl $ra, $a2, 0
    /* The entry has returned the stack pointer of the context that continues. */
    move $sp, $a0
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
