/* i386: ebx, ebp, esi, edi. */

/* call_with_registers(values [4(esp)], f [8(esp)], argument [12(esp)]) */
FUNCTION(call_with_registers)
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    subl $12, %esp
    .cfi_adjust_cfa_offset 28
    movl 32(%esp), %eax
    movl 36(%esp), %ecx
    movl 40(%esp), %edx
    movl %edx, (%esp)
    movl 0(%eax), %ebx
    movl 4(%eax), %ebp
    movl 8(%eax), %esi
    movl 12(%eax), %edi
    call *%ecx
    movl 32(%esp), %eax
    movl %ebx, 0(%eax)
    movl %ebp, 4(%eax)
    movl %esi, 8(%eax)
    movl %edi, 12(%eax)
    addl $12, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    .cfi_adjust_cfa_offset -28
    ret
END_FUNCTION(call_with_registers)
