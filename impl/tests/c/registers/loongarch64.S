/* LoongArch, 64 bits: $fp ($s9), $s0-$s8; with LP64D $fs0-$fs7 ($f24-$f31). */

/* call_with_registers(values [$a0], call [$a1]) */
FUNCTION(call_with_registers)
    addi.d $sp, $sp, -160
    .cfi_adjust_cfa_offset 160
    st.d $ra, $sp, 0
    .cfi_rel_offset 1, 0
    st.d $a0, $sp, 8
    st.d $fp, $sp, 16
    st.d $s0, $sp, 24
    st.d $s1, $sp, 32
    st.d $s2, $sp, 40
    st.d $s3, $sp, 48
    st.d $s4, $sp, 56
    st.d $s5, $sp, 64
    st.d $s6, $sp, 72
    st.d $s7, $sp, 80
    st.d $s8, $sp, 88
#if defined(__loongarch_double_float)
    fst.d $f24, $sp, 96
    fst.d $f25, $sp, 104
    fst.d $f26, $sp, 112
    fst.d $f27, $sp, 120
    fst.d $f28, $sp, 128
    fst.d $f29, $sp, 136
    fst.d $f30, $sp, 144
    fst.d $f31, $sp, 152
#endif
    ld.d $fp, $a0, 0
    ld.d $s0, $a0, 8
    ld.d $s1, $a0, 16
    ld.d $s2, $a0, 24
    ld.d $s3, $a0, 32
    ld.d $s4, $a0, 40
    ld.d $s5, $a0, 48
    ld.d $s6, $a0, 56
    ld.d $s7, $a0, 64
    ld.d $s8, $a0, 72
#if defined(__loongarch_double_float)
    fld.d $f24, $a0, 80
    fld.d $f25, $a0, 88
    fld.d $f26, $a0, 96
    fld.d $f27, $a0, 104
    fld.d $f28, $a0, 112
    fld.d $f29, $a0, 120
    fld.d $f30, $a0, 128
    fld.d $f31, $a0, 136
#endif
    st.d $sp, $a1, 40
    ld.d $t1, $a1, 0
    ld.d $a0, $a1, 8
    ld.d $a2, $a1, 24
    ld.d $a3, $a1, 32
    ld.d $a1, $a1, 16
    /* It may happen to hold the rounding mode. */
    addi.d $t0, $zero, -1
    jirl $ra, $t1, 0
    ld.d $a0, $sp, 8
    st.d $fp, $a0, 0
    st.d $s0, $a0, 8
    st.d $s1, $a0, 16
    st.d $s2, $a0, 24
    st.d $s3, $a0, 32
    st.d $s4, $a0, 40
    st.d $s5, $a0, 48
    st.d $s6, $a0, 56
    st.d $s7, $a0, 64
    st.d $s8, $a0, 72
#if defined(__loongarch_double_float)
    fst.d $f24, $a0, 80
    fst.d $f25, $a0, 88
    fst.d $f26, $a0, 96
    fst.d $f27, $a0, 104
    fst.d $f28, $a0, 112
    fst.d $f29, $a0, 120
    fst.d $f30, $a0, 128
    fst.d $f31, $a0, 136
#endif
    ld.d $fp, $sp, 16
    ld.d $s0, $sp, 24
    ld.d $s1, $sp, 32
    ld.d $s2, $sp, 40
    ld.d $s3, $sp, 48
    ld.d $s4, $sp, 56
    ld.d $s5, $sp, 64
    ld.d $s6, $sp, 72
    ld.d $s7, $sp, 80
    ld.d $s8, $sp, 88
#if defined(__loongarch_double_float)
    fld.d $f24, $sp, 96
    fld.d $f25, $sp, 104
    fld.d $f26, $sp, 112
    fld.d $f27, $sp, 120
    fld.d $f28, $sp, 128
    fld.d $f29, $sp, 136
    fld.d $f30, $sp, 144
    fld.d $f31, $sp, 152
#endif
    ld.d $ra, $sp, 0
    addi.d $sp, $sp, 160
    .cfi_adjust_cfa_offset -160
    jr $ra
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [$a0]) */
FUNCTION(entry_that_reports)
    st.d $fp, $a0, 8
    st.d $sp, $a0, 24
    ld.d $a0, $a0, 0
    jr $ra
END_FUNCTION(entry_that_reports)
