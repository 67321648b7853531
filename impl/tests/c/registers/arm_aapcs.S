/* 32-bit Arm: r4-r11; with VFP d8-d15. */

    .syntax unified
    .arm
#if defined(__ARM_FP)
    .fpu vfpv2
#endif

/* call_with_registers(values [r0], f [r1], argument [r2]) */
FUNCTION(call_with_registers)
    .fnstart
#if defined(__ARM_FP)
    vpush {d8-d15}
    .vsave {d8-d15}
#endif
    push {r0, r4-r11, lr}
    .save {r0, r4-r11, lr}
    mov r3, r1
    add r1, r0, #32
    ldm r0, {r4-r11}
#if defined(__ARM_FP)
    vldm r1, {d8-d15}
#endif
    mov r0, r2
    blx r3
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
