/* IBM Z, 64 bits: r6-r13, f8-f15. */

/* call_with_registers(values [r2], call [r3]) */
FUNCTION(call_with_registers)
    stmg %r6, %r15, 48(%r15)
    .cfi_rel_offset %r14, -48
    aghi %r15, -232
    .cfi_adjust_cfa_offset 232
    std %f8, 160(%r15)
    std %f9, 168(%r15)
    std %f10, 176(%r15)
    std %f11, 184(%r15)
    std %f12, 192(%r15)
    std %f13, 200(%r15)
    std %f14, 208(%r15)
    std %f15, 216(%r15)
    stg %r2, 224(%r15)
    lmg %r6, %r13, 0(%r2)
    ld %f8, 64(%r2)
    ld %f9, 72(%r2)
    ld %f10, 80(%r2)
    ld %f11, 88(%r2)
    ld %f12, 96(%r2)
    ld %f13, 104(%r2)
    ld %f14, 112(%r2)
    ld %f15, 120(%r2)
    stg %r15, 40(%r3)
    lg %r1, 0(%r3)
    lmg %r2, %r5, 8(%r3)
    basr %r14, %r1
    lg %r1, 224(%r15)
    stmg %r6, %r13, 0(%r1)
    std %f8, 64(%r1)
    std %f9, 72(%r1)
    std %f10, 80(%r1)
    std %f11, 88(%r1)
    std %f12, 96(%r1)
    std %f13, 104(%r1)
    std %f14, 112(%r1)
    std %f15, 120(%r1)
    ld %f8, 160(%r15)
    ld %f9, 168(%r15)
    ld %f10, 176(%r15)
    ld %f11, 184(%r15)
    ld %f12, 192(%r15)
    ld %f13, 200(%r15)
    ld %f14, 208(%r15)
    ld %f15, 216(%r15)
    lmg %r6, %r15, 280(%r15)
    .cfi_adjust_cfa_offset -232
    br %r14
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [r2]). The 160 bytes at its caller's stack pointer are its own. */
FUNCTION(entry_that_reports)
    stg %r11, 8(%r2)
    lg %r1, 0(%r15)
    stg %r1, 16(%r2)
    stg %r15, 24(%r2)
    xc 0(160, %r15), 0(%r15)
    lg %r2, 0(%r2)
    br %r14
END_FUNCTION(entry_that_reports)

/* get_decimal_rounding(): bits 25-27 of fpc. */
FUNCTION(get_decimal_rounding)
    efpc %r1
    srl %r1, 4
    lghi %r2, 7
    nr %r2, %r1
    br %r14
END_FUNCTION(get_decimal_rounding)

/* set_decimal_rounding(bits [r2]) */
FUNCTION(set_decimal_rounding)
    efpc %r1
    nill %r1, 0xff8f
    sll %r2, 4
    or %r1, %r2
    sfpc %r1
    br %r14
END_FUNCTION(set_decimal_rounding)
