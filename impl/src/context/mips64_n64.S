/* MIPS, 64 bits, n64 ("MIPSpro N32 ABI Handbook", chapter 2 "Calling Convention Implementations").
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       $31 (ra, return address)
 *     +8       $16 ... $23 (s0-s7)
 *     +72      $28 (gp)
 *     +80      $30 (s8, frame pointer)
 *     +88      fcsr (4 bytes), unused (4 bytes)
 *     +96      $f24 ... $f31 (hard float only)
 *     96 or 160 bytes in all
 *
 * Kept, because a function must preserve them: s0-s8, sp, $f24-$f31, and gp, which is callee-saved in n64
 * and differs between shared libraries. fcsr has the rounding mode; switch.h promises it.
 *
 * Not kept: at, v0-v1, a0-a7, t0-t3, t8-t9, hi, lo, $f0-$f23; MSA registers, whose callee-saved parts are
 * the above; $29 of the coprocessor (the thread pointer).
 * Not supported: o32, n32.
 */

#if defined(__mips_hard_float)
#define FRAME 160
#else
#define FRAME 96
#endif

.macro SAVE register, offset
    sd \register, \offset($29)
    .cfi_rel_offset \register, \offset
.endm

.macro LOAD register, offset
    ld \register, \offset($29)
    .cfi_restore \register
.endm

.macro SAVE_FLOAT register, offset
    s.d \register, \offset($29)
    .cfi_rel_offset \register, \offset
.endm

.macro LOAD_FLOAT register, offset
    l.d \register, \offset($29)
    .cfi_restore \register
.endm

/* One frame, written and read by the two functions below, cannot drift apart. $12 (t0) is free. */
.macro SAVE_FRAME
    daddiu $29, $29, -FRAME
    .cfi_adjust_cfa_offset FRAME
    SAVE $31, 0
    SAVE $16, 8
    SAVE $17, 16
    SAVE $18, 24
    SAVE $19, 32
    SAVE $20, 40
    SAVE $21, 48
    SAVE $22, 56
    SAVE $23, 64
    SAVE $28, 72
    SAVE $30, 80
#if defined(__mips_hard_float)
    cfc1 $12, $31
    sw $12, 88($29)
    SAVE_FLOAT $f24, 96
    SAVE_FLOAT $f25, 104
    SAVE_FLOAT $f26, 112
    SAVE_FLOAT $f27, 120
    SAVE_FLOAT $f28, 128
    SAVE_FLOAT $f29, 136
    SAVE_FLOAT $f30, 144
    SAVE_FLOAT $f31, 152
#endif
.endm

.macro RESTORE_FRAME_AND_RETURN
#if defined(__mips_hard_float)
    lw $12, 88($29)
    ctc1 $12, $31
    LOAD_FLOAT $f24, 96
    LOAD_FLOAT $f25, 104
    LOAD_FLOAT $f26, 112
    LOAD_FLOAT $f27, 120
    LOAD_FLOAT $f28, 128
    LOAD_FLOAT $f29, 136
    LOAD_FLOAT $f30, 144
    LOAD_FLOAT $f31, 152
#endif
    LOAD $16, 8
    LOAD $17, 16
    LOAD $18, 24
    LOAD $19, 32
    LOAD $20, 40
    LOAD $21, 48
    LOAD $22, 56
    LOAD $23, 64
    LOAD $28, 72
    LOAD $30, 80
    LOAD $31, 0
    daddiu $29, $29, FRAME
    .cfi_adjust_cfa_offset -FRAME
    jr $31
    nop /* the delay slot */
.endm

.text
.set noreorder

/* void gl_context_switch(void **save [$4], void *resume [$5]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    sd $29, 0($4)
    /* From here on we are the context suspended at `resume`. */
    move $29, $5
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [$4], void *top [$5], gl_context_entry entry [$6],
 *                       void *argument [$7]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    sd $29, 0($4)
    move $29, $5
    /* The outermost frame of the new stack: the return address is undefined in it, so that every
     * unwinder stops here; $30 = 0 ends frame-pointer chains. */
    .cfi_remember_state
    .cfi_undefined $31
    move $30, $0
    /* Position-independent code finds its data by its own address, in $25 (t9). */
    move $25, $6
    jalr $25
    move $4, $7 /* in the delay slot */
    /* The entry has returned the stack pointer of the context that continues. */
    move $29, $2
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
