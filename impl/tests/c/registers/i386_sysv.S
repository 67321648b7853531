/* i386: ebx, ebp, esi, edi. */

/* call_with_registers(values [4(esp)], call [8(esp)]) */
FUNCTION(call_with_registers)
    pushl %ebp
    pushl %ebx
    pushl %esi
    pushl %edi
    subl $28, %esp
    .cfi_adjust_cfa_offset 44
    movl 48(%esp), %eax
    movl 52(%esp), %ecx
    movl %esp, 20(%ecx)
    movl 4(%ecx), %edx
    movl %edx, 0(%esp)
    movl 8(%ecx), %edx
    movl %edx, 4(%esp)
    movl 12(%ecx), %edx
    movl %edx, 8(%esp)
    movl 16(%ecx), %edx
    movl %edx, 12(%esp)
    movl 0(%eax), %ebx
    movl 4(%eax), %ebp
    movl 8(%eax), %esi
    movl 12(%eax), %edi
    call *0(%ecx)
    movl 48(%esp), %eax
    movl %ebx, 0(%eax)
    movl %ebp, 4(%eax)
    movl %esi, 8(%eax)
    movl %edi, 12(%eax)
    addl $28, %esp
    popl %edi
    popl %esi
    popl %ebx
    popl %ebp
    .cfi_adjust_cfa_offset -44
    ret
END_FUNCTION(call_with_registers)

/* entry_that_reports(report [4(esp)]). The place of the argument is its own. */
FUNCTION(entry_that_reports)
    movl 4(%esp), %ecx
    movl %ebp, 4(%ecx)
    leal 4(%esp), %eax
    movl %eax, 12(%ecx)
    movl $-1, 4(%esp)
    movl 0(%ecx), %eax
    ret
END_FUNCTION(entry_that_reports)

/* get_vector_control() */
FUNCTION(get_vector_control)
    pushl %eax
    .cfi_adjust_cfa_offset 4
    stmxcsr 0(%esp)
    popl %eax
    .cfi_adjust_cfa_offset -4
    ret
END_FUNCTION(get_vector_control)
