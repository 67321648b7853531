/* AArch64: x19-x28, x29 (the frame pointer), d8-d15. */

#if defined(__ARM_FEATURE_BTI_DEFAULT)
#define LANDING_PAD bti c
#else
#define LANDING_PAD
#endif

/* call_with_registers(values [x0], call [x1]) */
FUNCTION(call_with_registers)
    LANDING_PAD
    stp x29, x30, [sp, -176]!
    .cfi_adjust_cfa_offset 176
    .cfi_rel_offset x29, 0
    .cfi_rel_offset x30, 8
    stp x19, x20, [sp, 16]
    stp x21, x22, [sp, 32]
    stp x23, x24, [sp, 48]
    stp x25, x26, [sp, 64]
    stp x27, x28, [sp, 80]
    stp d8, d9, [sp, 96]
    stp d10, d11, [sp, 112]
    stp d12, d13, [sp, 128]
    stp d14, d15, [sp, 144]
    str x0, [sp, 160]
    mov x9, x0
    ldp x19, x20, [x9]
    ldp x21, x22, [x9, 16]
    ldp x23, x24, [x9, 32]
    ldp x25, x26, [x9, 48]
    ldp x27, x28, [x9, 64]
    ldp d8, d9, [x9, 80]
    ldp d10, d11, [x9, 96]
    ldp d12, d13, [x9, 112]
    ldp d14, d15, [x9, 128]
    ldr x29, [x9, 144]
    mov x9, sp
    str x9, [x1, 40]
    ldr x9, [x1]
    ldr x0, [x1, 8]
    ldp x2, x3, [x1, 24]
    ldr x1, [x1, 16]
    mov x4, -1
    mov x5, -1
    blr x9
    ldr x9, [sp, 160]
    stp x19, x20, [x9]
    stp x21, x22, [x9, 16]
    stp x23, x24, [x9, 32]
    stp x25, x26, [x9, 48]
    stp x27, x28, [x9, 64]
    stp d8, d9, [x9, 80]
    stp d10, d11, [x9, 96]
    stp d12, d13, [x9, 112]
    stp d14, d15, [x9, 128]
    str x29, [x9, 144]
    ldp x19, x20, [sp, 16]
    ldp x21, x22, [sp, 32]
    ldp x23, x24, [sp, 48]
    ldp x25, x26, [sp, 64]
    ldp x27, x28, [sp, 80]
    ldp d8, d9, [sp, 96]
    ldp d10, d11, [sp, 112]
    ldp d12, d13, [sp, 128]
    ldp d14, d15, [sp, 144]
    ldp x29, x30, [sp], 176
    .cfi_adjust_cfa_offset -176
    ret
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [x0]) */
FUNCTION(entry_that_reports)
    LANDING_PAD
    str x29, [x0, 8]
    mov x9, sp
    str x9, [x0, 24]
    ldr x0, [x0]
    ret
END_FUNCTION(entry_that_reports)

#if defined(__ARM_FEATURE_PAC_DEFAULT)
/* with_signature(address [x0]) */
FUNCTION(with_signature)
    LANDING_PAD
    mov x9, x30
    mov x30, x0
    hint 25 /* paciasp */
    mov x0, x30
    ret x9
END_FUNCTION(with_signature)

/* without_signature(address [x0]) */
FUNCTION(without_signature)
    LANDING_PAD
    mov x9, x30
    mov x30, x0
    hint 7 /* xpaclri */
    mov x0, x30
    ret x9
END_FUNCTION(without_signature)
#endif

#if defined(__ARM_FEATURE_BTI_DEFAULT)
    .section .note.gnu.property, "a"
    .balign 8
    .word 4, 16, 5
    .asciz "GNU"
    .word 0xc0000000, 4, 1, 0
#endif
