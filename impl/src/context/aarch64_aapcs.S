/* AArch64, AAPCS64 (2023Q3, sections 6.1 "Machine Registers" and 6.4 "Subroutine Calls"), LP64.
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content                          offset   content
 *     +0       x29 (frame pointer)              +80      x27, x28
 *     +8       x30 (return address)             +96      d8, d9
 *     +16      x19, x20                         +112     d10, d11
 *     +32      x21, x22                         +128     d12, d13
 *     +48      x23, x24                         +144     d14, d15
 *     +64      x25, x26                         +160     fpcr; 8 bytes unused
 *
 * Kept, because a function must preserve them: x19-x28, x29, sp, and the low halves of v8-v15
 * (d8-d15); their high halves, and all of SVE's registers, are caller-saved at a call of a function
 * of the base standard, as these are. fpcr has the rounding mode, which AAPCS64 leaves to the
 * program; switch.h promises it. Writing it is slow on many cores, so it is written where it
 * differs only.
 *
 * Not kept: x0-x17; x18, the platform's register, of which Linux makes no use across calls and which
 * macOS reserves: it is not touched; fpsr;
 * tpidr_el0, the thread pointer; ZA of SME, which must be off or dormant at a call.
 *
 * Branch protection. Where the compiler was asked for it, functions begin with a landing pad, and
 * the return address is signed before it is stored (with the stack pointer at entry) and checked
 * after it is loaded. The pair works because a context is resumed where it was suspended, at the
 * same address, always. Not supported: guarded control stacks (GCS), which are shadow stacks.
 */

#define FRAME 176

#if defined(__ARM_FEATURE_PAC_DEFAULT) && (__ARM_FEATURE_PAC_DEFAULT & 2)
/* `paciasp` and `pacibsp` are landing pads as well. They are hints, which older processors skip. */
#define BEGIN                                                                                      \
    .cfi_b_key_frame;                                                                              \
    hint 27; /* pacibsp */                                                                         \
    .cfi_negate_ra_state
#define CHECK_RETURN_ADDRESS                                                                       \
    hint 31; /* autibsp */                                                                         \
    .cfi_negate_ra_state
#define PAC_PROPERTY 2
#elif defined(__ARM_FEATURE_PAC_DEFAULT)
#define BEGIN                                                                                      \
    hint 25; /* paciasp */                                                                         \
    .cfi_negate_ra_state
#define CHECK_RETURN_ADDRESS                                                                       \
    hint 29; /* autiasp */                                                                         \
    .cfi_negate_ra_state
#define PAC_PROPERTY 2
#elif defined(__ARM_FEATURE_BTI_DEFAULT)
#define BEGIN hint 34 /* bti c */
#define CHECK_RETURN_ADDRESS
#define PAC_PROPERTY 0
#else
#define BEGIN
#define CHECK_RETURN_ADDRESS
#define PAC_PROPERTY 0
#endif

.macro SAVE_PAIR first, second, offset
    stp \first, \second, [sp, \offset]
    .cfi_rel_offset \first, \offset
    .cfi_rel_offset \second, \offset + 8
.endm

.macro LOAD_PAIR first, second, offset
    ldp \first, \second, [sp, \offset]
    .cfi_restore \first
    .cfi_restore \second
.endm

/* One frame, written and read by the two functions below, cannot drift apart. x4 and x5 are free:
 * the functions have four arguments at most. */
.macro SAVE_FRAME
    sub sp, sp, FRAME
    .cfi_adjust_cfa_offset FRAME
    SAVE_PAIR x29, x30, 0
    SAVE_PAIR x19, x20, 16
    SAVE_PAIR x21, x22, 32
    SAVE_PAIR x23, x24, 48
    SAVE_PAIR x25, x26, 64
    SAVE_PAIR x27, x28, 80
    SAVE_PAIR d8, d9, 96
    SAVE_PAIR d10, d11, 112
    SAVE_PAIR d12, d13, 128
    SAVE_PAIR d14, d15, 144
    mrs x4, fpcr
    str x4, [sp, 160]
    mov x5, sp
.endm

.macro RESTORE_FRAME_AND_RETURN
    mrs x4, fpcr
    ldr x5, [sp, 160]
    cmp x4, x5
    b.eq 1f
    msr fpcr, x5
1:
    LOAD_PAIR d14, d15, 144
    LOAD_PAIR d12, d13, 128
    LOAD_PAIR d10, d11, 112
    LOAD_PAIR d8, d9, 96
    LOAD_PAIR x27, x28, 80
    LOAD_PAIR x25, x26, 64
    LOAD_PAIR x23, x24, 48
    LOAD_PAIR x21, x22, 32
    LOAD_PAIR x19, x20, 16
    LOAD_PAIR x29, x30, 0
    add sp, sp, FRAME
    .cfi_adjust_cfa_offset -FRAME
    CHECK_RETURN_ADDRESS
    ret
.endm

.text

/* void gl_context_switch(void **save [x0], void *resume [x1]) */
GL_FUNCTION(gl_context_switch)
    BEGIN
    SAVE_FRAME
    str x5, [x0]
    /* From here on we are the context suspended at `resume`. Its frame has the same shape, so
     * the unwind information above holds for it too. */
    mov sp, x1
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [x0], void *top [x1], gl_context_entry entry [x2],
 *                       void *argument [x3]) */
GL_FUNCTION(gl_context_start)
    BEGIN
    SAVE_FRAME
    str x5, [x0]
    mov sp, x1
    /* The outermost frame of the new stack: the return address is undefined in it, so that every
     * unwinder stops here; x29 = 0 ends frame-pointer chains. The rounding mode stays that of the
     * starter, as for a new thread. */
    .cfi_remember_state
    .cfi_undefined x30
    mov x29, xzr
    mov x0, x3
    blr x2
    /* The entry has returned the stack pointer of the context that continues. */
    mov sp, x0
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)

#if defined(__ARM_FEATURE_BTI_DEFAULT) || defined(__ARM_FEATURE_PAC_DEFAULT)
/* What the code above keeps to: GNU_PROPERTY_AARCH64_FEATURE_1_AND, bit 0 BTI, bit 1 PAC. */
#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define BTI_PROPERTY 1
#else
#define BTI_PROPERTY 0
#endif
    .section .note.gnu.property, "a"
    .balign 8
    .word 4, 16, 5
    .asciz "GNU"
    .word 0xc0000000, 4, BTI_PROPERTY | PAC_PROPERTY, 0
#endif
