/* 32-bit Arm: r4-r11; with VFP d8-d15. */

    .syntax unified
    .arm
#if defined(__ARM_FP)
    .fpu vfpv2
#endif

/* call_with_registers(values [r0], call [r1]) */
FUNCTION(call_with_registers)
    .fnstart
#if defined(__ARM_FP)
    vpush {d8-d15}
    .vsave {d8-d15}
#endif
    push {r0, r4-r11, lr}
    .save {r0, r4-r11, lr}
    str sp, [r1, #20]
    add r2, r0, #32
    ldm r0, {r4-r11}
#if defined(__ARM_FP)
    vldm r2, {d8-d15}
#endif
    ldr r12, [r1]
    ldmib r1, {r0-r3}
    /* What `blx r12` does, which ARMv4T has not. */
    mov lr, pc
    bx r12
    ldr r0, [sp]
    add r1, r0, #32
    stm r0, {r4-r11}
#if defined(__ARM_FP)
    vstm r1, {d8-d15}
#endif
    pop {r0, r4-r11, lr}
#if defined(__ARM_FP)
    vpop {d8-d15}
#endif
    bx lr
    .fnend
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [r0]) */
FUNCTION(entry_that_reports)
    str r11, [r0, #4]
    str sp, [r0, #12]
    ldr r0, [r0]
    bx lr
END_FUNCTION(entry_that_reports)
