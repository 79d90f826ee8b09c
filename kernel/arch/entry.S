/* The kernel's first instruction. The loader has set up long mode, the page
 * tables, the GDT, the TSS and the stack; RDI is the struct boot_info. */
    .section .text.start, "ax"
    .globl  _start
_start:
    xorl    %ebp, %ebp              /* ends every walk up the stack frames */
    call    kernel_main             /* does not return */
    .section .note.GNU-stack, "", @progbits
