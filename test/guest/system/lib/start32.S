/* Multiboot entry to 32-bit C without paging, with tables that catch all interrupts. */
#include "multiboot.inc"

    .globl  _start
_start:
    cli
    movl    $stack_top, %esp
    lgdt    gdt_pointer
    ljmp    $0x08, $1f
1:  movl    $0x10, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %fs
    movl    %eax, %gs
    movl    %eax, %ss

    movl    $vectors, %eax
    movl    $idt, %edi
    movl    $256, %ecx
2:  movl    %eax, %edx
    andl    $0xffff, %edx
    orl     $0x080000, %edx
    movl    %edx, (%edi)
    movl    %eax, %edx
    andl    $0xffff0000, %edx
    orl     $0x8e00, %edx
    movl    %edx, 4(%edi)
    addl    $16, %eax
    addl    $8, %edi
    loop    2b
    movb    $0xee, idt + 0x80 * 8 + 5       /* int $0x80 from level 3 */
    lidt    idt_pointer

    movl    $stack_top - 0x2000, tss + 4    /* ESP0, SS0 */
    movl    $0x10, tss + 8
    movl    $0x680000, tss + 100            /* no I/O bit map */
    movl    $tss, %eax
    movw    %ax, gdt + 0x28 + 2
    shrl    $16, %eax
    movb    %al, gdt + 0x28 + 4
    movl    $0x28, %eax
    ltr     %ax
    call    guest_main
    call    end

    .balign 16
vectors:
    .set    vector, 0
    .rept   256
    .balign 16
    .if     vector != 8 && (vector < 10 || vector > 14) && vector != 17
    pushl   $0
    .endif
    pushl   $vector
    jmp     common
    .set    vector, vector + 1
    .endr

common:
    pushal
    movl    $0x10, %eax
    movl    %eax, %ds
    movl    %eax, %es
    pushl   %esp
    call    interrupted
    addl    $4, %esp
    popal
    addl    $8, %esp
    iretl

    .data
    .balign 16
    .globl  gdt, idt, tss, user_stack
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff
    .quad   0x00cf93000000ffff
    .quad   0x00cffb000000ffff
    .quad   0x00cff3000000ffff
    .quad   0x0000890000000067
    .fill   26, 8, 0
gdt_end:
gdt_pointer:
    .word   gdt_end - gdt - 1
    .long   gdt
idt_pointer:
    .word   256 * 8 - 1
    .long   idt

    .bss
    .balign 16
idt:
    .skip   256 * 8
tss:
    .skip   256
    .balign 4096
    .skip   0x6000
stack_top:
    .skip   0x1000
user_stack:
    .section .note.GNU-stack, "", @progbits
