/* Power, 64 bits, ELFv2: r14-r31, f14-f31, v20-v31, fields 2-4 of cr; and r2. The values are aligned
 * to 16 bytes; the one at 480 is for cr: all its other fields come back as they were put in.
 *
 * A function that is called by its global entry point may change r2. Those in assembly do not, as their symbols
 * say, and a context has an r2 of its own; those of ucontext.c do. */

/* call_with_registers(values [r3], call [r4]) */
FUNCTION(call_with_registers)
    mflr 0
    std 0, 16(1)
    mfcr 0
    stw 0, 8(1)
    stdu 1, -544(1)
    .cfi_adjust_cfa_offset 544
    .cfi_rel_offset lr, 560
    std 2, 24(1)
    std 3, 32(1)
    std 14, 48(1)
    std 15, 56(1)
    std 16, 64(1)
    std 17, 72(1)
    std 18, 80(1)
    std 19, 88(1)
    std 20, 96(1)
    std 21, 104(1)
    std 22, 112(1)
    std 23, 120(1)
    std 24, 128(1)
    std 25, 136(1)
    std 26, 144(1)
    std 27, 152(1)
    std 28, 160(1)
    std 29, 168(1)
    std 30, 176(1)
    std 31, 184(1)
    stfd 14, 192(1)
    stfd 15, 200(1)
    stfd 16, 208(1)
    stfd 17, 216(1)
    stfd 18, 224(1)
    stfd 19, 232(1)
    stfd 20, 240(1)
    stfd 21, 248(1)
    stfd 22, 256(1)
    stfd 23, 264(1)
    stfd 24, 272(1)
    stfd 25, 280(1)
    stfd 26, 288(1)
    stfd 27, 296(1)
    stfd 28, 304(1)
    stfd 29, 312(1)
    stfd 30, 320(1)
    stfd 31, 328(1)
    li 0, 336
    stvx 20, 1, 0
    li 0, 352
    stvx 21, 1, 0
    li 0, 368
    stvx 22, 1, 0
    li 0, 384
    stvx 23, 1, 0
    li 0, 400
    stvx 24, 1, 0
    li 0, 416
    stvx 25, 1, 0
    li 0, 432
    stvx 26, 1, 0
    li 0, 448
    stvx 27, 1, 0
    li 0, 464
    stvx 28, 1, 0
    li 0, 480
    stvx 29, 1, 0
    li 0, 496
    stvx 30, 1, 0
    li 0, 512
    stvx 31, 1, 0
    ld 14, 0(3)
    ld 15, 8(3)
    ld 16, 16(3)
    ld 17, 24(3)
    ld 18, 32(3)
    ld 19, 40(3)
    ld 20, 48(3)
    ld 21, 56(3)
    ld 22, 64(3)
    ld 23, 72(3)
    ld 24, 80(3)
    ld 25, 88(3)
    ld 26, 96(3)
    ld 27, 104(3)
    ld 28, 112(3)
    ld 29, 120(3)
    ld 30, 128(3)
    ld 31, 136(3)
    lfd 14, 144(3)
    lfd 15, 152(3)
    lfd 16, 160(3)
    lfd 17, 168(3)
    lfd 18, 176(3)
    lfd 19, 184(3)
    lfd 20, 192(3)
    lfd 21, 200(3)
    lfd 22, 208(3)
    lfd 23, 216(3)
    lfd 24, 224(3)
    lfd 25, 232(3)
    lfd 26, 240(3)
    lfd 27, 248(3)
    lfd 28, 256(3)
    lfd 29, 264(3)
    lfd 30, 272(3)
    lfd 31, 280(3)
    li 0, 288
    lvx 20, 3, 0
    li 0, 304
    lvx 21, 3, 0
    li 0, 320
    lvx 22, 3, 0
    li 0, 336
    lvx 23, 3, 0
    li 0, 352
    lvx 24, 3, 0
    li 0, 368
    lvx 25, 3, 0
    li 0, 384
    lvx 26, 3, 0
    li 0, 400
    lvx 27, 3, 0
    li 0, 416
    lvx 28, 3, 0
    li 0, 432
    lvx 29, 3, 0
    li 0, 448
    lvx 30, 3, 0
    li 0, 464
    lvx 31, 3, 0
    lwz 0, 480(3)
    mtcrf 0x38, 0
#if !defined(GL_CONTEXT_BY_UCONTEXT)
    ld 2, 484(3)
#endif
    /* Caller-saved: nonsense. It may happen to hold fpscr. */
    lfd 0, 144(3)
    std 1, 40(4)
    ld 12, 0(4)
    mtctr 12
    ld 3, 8(4)
    ld 5, 24(4)
    ld 6, 32(4)
    ld 4, 16(4)
    bctrl
    ld 3, 32(1)
#if !defined(GL_CONTEXT_BY_UCONTEXT)
    std 2, 484(3)
#endif
    ld 2, 24(1)
    std 14, 0(3)
    std 15, 8(3)
    std 16, 16(3)
    std 17, 24(3)
    std 18, 32(3)
    std 19, 40(3)
    std 20, 48(3)
    std 21, 56(3)
    std 22, 64(3)
    std 23, 72(3)
    std 24, 80(3)
    std 25, 88(3)
    std 26, 96(3)
    std 27, 104(3)
    std 28, 112(3)
    std 29, 120(3)
    std 30, 128(3)
    std 31, 136(3)
    stfd 14, 144(3)
    stfd 15, 152(3)
    stfd 16, 160(3)
    stfd 17, 168(3)
    stfd 18, 176(3)
    stfd 19, 184(3)
    stfd 20, 192(3)
    stfd 21, 200(3)
    stfd 22, 208(3)
    stfd 23, 216(3)
    stfd 24, 224(3)
    stfd 25, 232(3)
    stfd 26, 240(3)
    stfd 27, 248(3)
    stfd 28, 256(3)
    stfd 29, 264(3)
    stfd 30, 272(3)
    stfd 31, 280(3)
    li 0, 288
    stvx 20, 3, 0
    li 0, 304
    stvx 21, 3, 0
    li 0, 320
    stvx 22, 3, 0
    li 0, 336
    stvx 23, 3, 0
    li 0, 352
    stvx 24, 3, 0
    li 0, 368
    stvx 25, 3, 0
    li 0, 384
    stvx 26, 3, 0
    li 0, 400
    stvx 27, 3, 0
    li 0, 416
    stvx 28, 3, 0
    li 0, 432
    stvx 29, 3, 0
    li 0, 448
    stvx 30, 3, 0
    li 0, 464
    stvx 31, 3, 0
    mfcr 0
    lwz 4, 480(3)
    rlwimi 4, 0, 0, 8, 19
    stw 4, 480(3)
    li 0, 336
    lvx 20, 1, 0
    li 0, 352
    lvx 21, 1, 0
    li 0, 368
    lvx 22, 1, 0
    li 0, 384
    lvx 23, 1, 0
    li 0, 400
    lvx 24, 1, 0
    li 0, 416
    lvx 25, 1, 0
    li 0, 432
    lvx 26, 1, 0
    li 0, 448
    lvx 27, 1, 0
    li 0, 464
    lvx 28, 1, 0
    li 0, 480
    lvx 29, 1, 0
    li 0, 496
    lvx 30, 1, 0
    li 0, 512
    lvx 31, 1, 0
    lfd 14, 192(1)
    lfd 15, 200(1)
    lfd 16, 208(1)
    lfd 17, 216(1)
    lfd 18, 224(1)
    lfd 19, 232(1)
    lfd 20, 240(1)
    lfd 21, 248(1)
    lfd 22, 256(1)
    lfd 23, 264(1)
    lfd 24, 272(1)
    lfd 25, 280(1)
    lfd 26, 288(1)
    lfd 27, 296(1)
    lfd 28, 304(1)
    lfd 29, 312(1)
    lfd 30, 320(1)
    lfd 31, 328(1)
    ld 14, 48(1)
    ld 15, 56(1)
    ld 16, 64(1)
    ld 17, 72(1)
    ld 18, 80(1)
    ld 19, 88(1)
    ld 20, 96(1)
    ld 21, 104(1)
    ld 22, 112(1)
    ld 23, 120(1)
    ld 24, 128(1)
    ld 25, 136(1)
    ld 26, 144(1)
    ld 27, 152(1)
    ld 28, 160(1)
    ld 29, 168(1)
    ld 30, 176(1)
    ld 31, 184(1)
    /* By the back chain: no callee may have changed it. */
    ld 1, 0(1)
    .cfi_adjust_cfa_offset -544
    lwz 0, 8(1)
    mtcrf 0x38, 0
    ld 0, 16(1)
    mtlr 0
    blr
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [r3]). The three doublewords above the back chain are its own. */
FUNCTION(entry_that_reports)
    ld 0, 0(1)
    std 0, 16(3)
    std 1, 24(3)
    li 0, -1
    std 0, 8(1)
    std 0, 16(1)
    std 0, 24(1)
    ld 3, 0(3)
    blr
END_FUNCTION(entry_that_reports)

/* get_decimal_rounding(): bits 29-31 of fpscr. */
FUNCTION(get_decimal_rounding)
    mffs 0
    mffprd 3, 0
    rldicl 3, 3, 32, 61
    blr
END_FUNCTION(get_decimal_rounding)

/* set_decimal_rounding(bits [r3]) */
FUNCTION(set_decimal_rounding)
    mffs 0
    mffprd 4, 0
    rldimi 4, 3, 32, 29
    mtfprd 0, 4
    mtfsf 0xff, 0, 1, 0
    blr
END_FUNCTION(set_decimal_rounding)
