/* IBM Z, 64 bits: r6-r13, f8-f15. */

/* call_with_registers(values [r2], f [r3], argument [r4]) */
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
    lgr %r1, %r2
    lgr %r2, %r4
    lmg %r6, %r13, 0(%r1)
    ld %f8, 64(%r1)
    ld %f9, 72(%r1)
    ld %f10, 80(%r1)
    ld %f11, 88(%r1)
    ld %f12, 96(%r1)
    ld %f13, 104(%r1)
    ld %f14, 112(%r1)
    ld %f15, 120(%r1)
    basr %r14, %r3
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
