/* Power, 64 bits, "64-Bit ELF V2 ABI Specification" 1.5, sections 2.2.2 "The Stack Frame" and 2.2.1
 * "Registers", little-endian. A processor with vector registers, as that ABI demands there (POWER8).
 *
 * Frame of a suspended context, from the stack pointer that *save receives, upwards:
 *
 *     offset   content
 *     +0       back chain
 *     +8       cr (4 bytes), reserved (4 bytes)
 *     +16      unused: a callee of the entry stores its lr there
 *     +24      r2 (TOC pointer)
 *     +32      lr (return address)
 *     +40      fpscr
 *     +48      unused (16 bytes)
 *     +64      r14 ... r31
 *     +208     f14 ... f31
 *     +352     v20 ... v31
 *     544 bytes in all
 *
 * Kept, because a function must preserve them: r1 (the stack pointer), r14-r31, f14-f31, v20-v31, fields
 * 2-4 of cr. Of the vector-scalar registers only the halves that overlap f14-f31 are callee-saved. fpscr
 * has the rounding modes, binary and decimal; switch.h promises it. Its flags travel with them.
 *
 * r2 is the base of the data of the module that runs. The functions here do not need it and preserve it,
 * as their symbols say (they have no separate local entry point). The entry is called by its global
 * entry point: r12 has its address, and r2 is what it leaves there. So r2 is kept in the frame.
 *
 * Not kept: r0, r3-r12, f0-f13, v0-v19, ctr, xer; r13, the thread pointer; vrsave, which Linux does not use;
 * vscr. Not supported: ELFv1, big-endian.
 */

#define FRAME 544
/* The least that a caller must have below its own frame: back chain, cr, lr, TOC. */
#define LINKAGE 32

.macro SAVE_FRAME
    mflr 0
    mfcr 12
    stdu 1, -FRAME(1)
    .cfi_adjust_cfa_offset FRAME
    std 0, 32(1)
    .cfi_rel_offset lr, 32
    stw 12, 8(1)
    .cfi_rel_offset 70, 8 /* cr2, which stands for all of cr */
    std 2, 24(1)
    mffs 0
    stfd 0, 40(1)
    std 14, 64(1)
    .cfi_rel_offset 14, 64
    std 15, 72(1)
    .cfi_rel_offset 15, 72
    std 16, 80(1)
    .cfi_rel_offset 16, 80
    std 17, 88(1)
    .cfi_rel_offset 17, 88
    std 18, 96(1)
    .cfi_rel_offset 18, 96
    std 19, 104(1)
    .cfi_rel_offset 19, 104
    std 20, 112(1)
    .cfi_rel_offset 20, 112
    std 21, 120(1)
    .cfi_rel_offset 21, 120
    std 22, 128(1)
    .cfi_rel_offset 22, 128
    std 23, 136(1)
    .cfi_rel_offset 23, 136
    std 24, 144(1)
    .cfi_rel_offset 24, 144
    std 25, 152(1)
    .cfi_rel_offset 25, 152
    std 26, 160(1)
    .cfi_rel_offset 26, 160
    std 27, 168(1)
    .cfi_rel_offset 27, 168
    std 28, 176(1)
    .cfi_rel_offset 28, 176
    std 29, 184(1)
    .cfi_rel_offset 29, 184
    std 30, 192(1)
    .cfi_rel_offset 30, 192
    std 31, 200(1)
    .cfi_rel_offset 31, 200
    stfd 14, 208(1)
    .cfi_rel_offset f14, 208
    stfd 15, 216(1)
    .cfi_rel_offset f15, 216
    stfd 16, 224(1)
    .cfi_rel_offset f16, 224
    stfd 17, 232(1)
    .cfi_rel_offset f17, 232
    stfd 18, 240(1)
    .cfi_rel_offset f18, 240
    stfd 19, 248(1)
    .cfi_rel_offset f19, 248
    stfd 20, 256(1)
    .cfi_rel_offset f20, 256
    stfd 21, 264(1)
    .cfi_rel_offset f21, 264
    stfd 22, 272(1)
    .cfi_rel_offset f22, 272
    stfd 23, 280(1)
    .cfi_rel_offset f23, 280
    stfd 24, 288(1)
    .cfi_rel_offset f24, 288
    stfd 25, 296(1)
    .cfi_rel_offset f25, 296
    stfd 26, 304(1)
    .cfi_rel_offset f26, 304
    stfd 27, 312(1)
    .cfi_rel_offset f27, 312
    stfd 28, 320(1)
    .cfi_rel_offset f28, 320
    stfd 29, 328(1)
    .cfi_rel_offset f29, 328
    stfd 30, 336(1)
    .cfi_rel_offset f30, 336
    stfd 31, 344(1)
    .cfi_rel_offset f31, 344
    li 0, 352
    stvx 20, 1, 0
    .cfi_rel_offset v20, 352
    li 0, 368
    stvx 21, 1, 0
    .cfi_rel_offset v21, 368
    li 0, 384
    stvx 22, 1, 0
    .cfi_rel_offset v22, 384
    li 0, 400
    stvx 23, 1, 0
    .cfi_rel_offset v23, 400
    li 0, 416
    stvx 24, 1, 0
    .cfi_rel_offset v24, 416
    li 0, 432
    stvx 25, 1, 0
    .cfi_rel_offset v25, 432
    li 0, 448
    stvx 26, 1, 0
    .cfi_rel_offset v26, 448
    li 0, 464
    stvx 27, 1, 0
    .cfi_rel_offset v27, 464
    li 0, 480
    stvx 28, 1, 0
    .cfi_rel_offset v28, 480
    li 0, 496
    stvx 29, 1, 0
    .cfi_rel_offset v29, 496
    li 0, 512
    stvx 30, 1, 0
    .cfi_rel_offset v30, 512
    li 0, 528
    stvx 31, 1, 0
    .cfi_rel_offset v31, 528
.endm

.macro RESTORE_FRAME_AND_RETURN
    lfd 0, 40(1)
    mtfsf 0xff, 0, 1, 0
    li 0, 352
    lvx 20, 1, 0
    .cfi_restore v20
    li 0, 368
    lvx 21, 1, 0
    .cfi_restore v21
    li 0, 384
    lvx 22, 1, 0
    .cfi_restore v22
    li 0, 400
    lvx 23, 1, 0
    .cfi_restore v23
    li 0, 416
    lvx 24, 1, 0
    .cfi_restore v24
    li 0, 432
    lvx 25, 1, 0
    .cfi_restore v25
    li 0, 448
    lvx 26, 1, 0
    .cfi_restore v26
    li 0, 464
    lvx 27, 1, 0
    .cfi_restore v27
    li 0, 480
    lvx 28, 1, 0
    .cfi_restore v28
    li 0, 496
    lvx 29, 1, 0
    .cfi_restore v29
    li 0, 512
    lvx 30, 1, 0
    .cfi_restore v30
    li 0, 528
    lvx 31, 1, 0
    .cfi_restore v31
    lfd 14, 208(1)
    .cfi_restore f14
    lfd 15, 216(1)
    .cfi_restore f15
    lfd 16, 224(1)
    .cfi_restore f16
    lfd 17, 232(1)
    .cfi_restore f17
    lfd 18, 240(1)
    .cfi_restore f18
    lfd 19, 248(1)
    .cfi_restore f19
    lfd 20, 256(1)
    .cfi_restore f20
    lfd 21, 264(1)
    .cfi_restore f21
    lfd 22, 272(1)
    .cfi_restore f22
    lfd 23, 280(1)
    .cfi_restore f23
    lfd 24, 288(1)
    .cfi_restore f24
    lfd 25, 296(1)
    .cfi_restore f25
    lfd 26, 304(1)
    .cfi_restore f26
    lfd 27, 312(1)
    .cfi_restore f27
    lfd 28, 320(1)
    .cfi_restore f28
    lfd 29, 328(1)
    .cfi_restore f29
    lfd 30, 336(1)
    .cfi_restore f30
    lfd 31, 344(1)
    .cfi_restore f31
    ld 14, 64(1)
    .cfi_restore 14
    ld 15, 72(1)
    .cfi_restore 15
    ld 16, 80(1)
    .cfi_restore 16
    ld 17, 88(1)
    .cfi_restore 17
    ld 18, 96(1)
    .cfi_restore 18
    ld 19, 104(1)
    .cfi_restore 19
    ld 20, 112(1)
    .cfi_restore 20
    ld 21, 120(1)
    .cfi_restore 21
    ld 22, 128(1)
    .cfi_restore 22
    ld 23, 136(1)
    .cfi_restore 23
    ld 24, 144(1)
    .cfi_restore 24
    ld 25, 152(1)
    .cfi_restore 25
    ld 26, 160(1)
    .cfi_restore 26
    ld 27, 168(1)
    .cfi_restore 27
    ld 28, 176(1)
    .cfi_restore 28
    ld 29, 184(1)
    .cfi_restore 29
    ld 30, 192(1)
    .cfi_restore 30
    ld 31, 200(1)
    .cfi_restore 31
    ld 2, 24(1)
    lwz 12, 8(1)
    ld 0, 32(1)
    mtcrf 0x38, 12
    .cfi_restore 70
    mtlr 0
    .cfi_restore lr
    addi 1, 1, FRAME
    .cfi_adjust_cfa_offset -FRAME
    blr
.endm

.text
.abiversion 2

/* void gl_context_switch(void **save [r3], void *resume [r4]) */
GL_FUNCTION(gl_context_switch)
    SAVE_FRAME
    std 1, 0(3)
    /* From here on we are the context suspended at `resume`. */
    mr 1, 4
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_switch)

/* void gl_context_start(void **save [r3], void *top [r4], gl_context_entry entry [r5],
 *                       void *argument [r6]) */
GL_FUNCTION(gl_context_start)
    SAVE_FRAME
    std 1, 0(3)
    /* The outermost frame of the new stack: a linkage area whose back chain is 0. The return address
     * is undefined in it, so that every unwinder stops here. */
    li 0, 0
    stdu 0, -LINKAGE(4)
    mr 1, 4
    .cfi_remember_state
    .cfi_undefined lr
    mr 12, 5
    mtctr 12
    mr 3, 6
    bctrl
    /* The entry has returned the stack pointer of the context that continues. */
    mr 1, 3
    .cfi_restore_state
    RESTORE_FRAME_AND_RETURN
GL_END(gl_context_start)
