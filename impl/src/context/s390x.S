/* IBM Z, 64 bits, "z/Architecture ELF Application Binary Interface Supplement" 1.6, section 1.2 "Function
 * Calling Sequence".
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       r6 ... r13, r14 (return address)
 *     +72      f8 ... f15
 *     +136     fpc (4 bytes), unused (4 bytes)
 *     144 bytes in all
 *
 * A function may store registers in the 160 bytes above its caller's stack pointer: those belong to
 * whoever is called next. The frame lies below them, so that they stay the caller's, and the entry of a
 * new context finds them at the top of its stack.
 *
 * Kept, because a function must preserve them: r6-r13, r15 (the stack pointer), f8-f15, of vector registers
 * the parts that overlap those. fpc has the rounding modes, binary and decimal; switch.h promises it.
 * Its flags and the data exception code travel with them.
 *
 * Not kept: r0-r5, f0-f7, v16-v31; access registers a0 and a1 (the thread pointer).
 */

#define FRAME 144
#define REGISTER_SAVE_AREA 160

.macro SAVE_FLOAT register, offset
    std \register, \offset(%r15)
    .cfi_rel_offset \register, \offset
.endm

.macro LOAD_FLOAT register, offset
    ld \register, \offset(%r15)
    .cfi_restore \register
.endm

/* One frame, written and read by the two functions below, cannot drift apart. */
.macro SAVE_FRAME
    aghi %r15, -FRAME
    .cfi_adjust_cfa_offset FRAME
    stmg %r6, %r14, 0(%r15)
    .cfi_rel_offset %r6, 0
    .cfi_rel_offset %r7, 8
    .cfi_rel_offset %r8, 16
    .cfi_rel_offset %r9, 24
    .cfi_rel_offset %r10, 32
    .cfi_rel_offset %r11, 40
    .cfi_rel_offset %r12, 48
    .cfi_rel_offset %r13, 56
    .cfi_rel_offset %r14, 64
    SAVE_FLOAT %f8, 72
    SAVE_FLOAT %f9, 80
    SAVE_FLOAT %f10, 88
    SAVE_FLOAT %f11, 96
    SAVE_FLOAT %f12, 104
    SAVE_FLOAT %f13, 112
    SAVE_FLOAT %f14, 120
    SAVE_FLOAT %f15, 128
    stfpc 136(%r15)
.endm

.macro RESTORE_FRAME_AND_RETURN
    lfpc 136(%r15)
    LOAD_FLOAT %f8, 72
    LOAD_FLOAT %f9, 80
    LOAD_FLOAT %f10, 88
    LOAD_FLOAT %f11, 96
    LOAD_FLOAT %f12, 104
    LOAD_FLOAT %f13, 112
    LOAD_FLOAT %f14, 120
    LOAD_FLOAT %f15, 128
    lmg %r6, %r14, 0(%r15)
    .cfi_restore %r6
    .cfi_restore %r7
    .cfi_restore %r8
    .cfi_restore %r9
    .cfi_restore %r10
    .cfi_restore %r11
    .cfi_restore %r12
    .cfi_restore %r13
    .cfi_restore %r14
    aghi %r15, FRAME
    .cfi_adjust_cfa_offset -FRAME
    br %r14
.endm

.text

/* void gl_context_switch(void **save [r2], void *resume [r3]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    stg %r15, 0(%r2)
    /* From here on we are the context suspended at `resume`. */
    lgr %r15, %r3
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [r2], void *top [r3], gl_context_entry entry [r4],
 *                       void *argument [r5]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    stg %r15, 0(%r2)
    /* The outermost frame of the new stack: a save area whose back chain is 0. The return address is
     * undefined in it, so that every unwinder stops here. */
    aghi %r3, -REGISTER_SAVE_AREA
    xc 0(8, %r3), 0(%r3)
    lgr %r15, %r3
    .cfi_remember_state
    .cfi_undefined %r14
    lghi %r11, 0
    lgr %r2, %r5
    basr %r14, %r4
    /* The entry has returned the stack pointer of the context that continues. */
    lgr %r15, %r2
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
