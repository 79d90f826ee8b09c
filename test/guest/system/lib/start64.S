/*
 * Multiboot entry to 64-bit C, with the first GiB mapped as it is for all levels and tables that
 * catch all interrupts.
 */
#include "multiboot.inc"

#define PRESENT_WRITABLE_USER 7
#define LARGE                 0x80

    .code32
    .globl  _start
_start:
    cli
    movl    $stack_top, %esp
    movl    $pml4, %eax
    movl    %eax, %cr3
    movl    $0x20, %eax                     /* PAE */
    movl    %eax, %cr4
    movl    $0xc0000080, %ecx               /* EFER: LME, SCE, NXE */
    rdmsr
    orl     $0x901, %eax
    wrmsr
    lgdt    gdt_pointer
    movl    %cr0, %eax
    orl     $0x80000001, %eax               /* PG, PE */
    andl    $0xfffeffff, %eax               /* not WP */
    movl    %eax, %cr0
    ljmp    $0x08, $1f

    .code64
1:  movl    $0x10, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    xorl    %eax, %eax
    movl    %eax, %fs
    movl    %eax, %gs

    movl    $vectors, %eax
    movl    $idt, %edi
    movl    $256, %ecx
2:  movw    %ax, (%rdi)
    movl    $0x8e000008, 2(%rdi)
    movq    %rax, %rdx
    shrq    $16, %rdx
    movw    %dx, 6(%rdi)
    movq    $0, 8(%rdi)
    addl    $16, %eax
    addl    $16, %edi
    loop    2b
    movb    $0xee, idt + 0x80 * 16 + 5      /* int $0x80 from level 3 */
    movb    $7, idt + 8 * 16 + 4            /* #DF and #SS on IST 7 */
    movb    $7, idt + 12 * 16 + 4
    movq    $stack_top - 0x4000, tss + 84
    lidt    idt_pointer

    movq    $stack_top - 0x2000, tss + 4    /* RSP0 */
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
    pushq   $0
    .endif
    pushq   $vector
    jmp     common
    .set    vector, vector + 1
    .endr

/* As many registers as `struct frame` has: those that C functions may change. */
common:
    pushq   %rax
    pushq   %rcx
    pushq   %rdx
    pushq   %rsi
    pushq   %rdi
    pushq   %r8
    pushq   %r9
    pushq   %r10
    movq    %rsp, %rdi
    pushq   %r11
    cld
    call    interrupted
    popq    %r11
    popq    %r10
    popq    %r9
    popq    %r8
    popq    %rdi
    popq    %rsi
    popq    %rdx
    popq    %rcx
    popq    %rax
    addq    $16, %rsp
    iretq

    .data
    .balign 16
    .globl  gdt, idt, tss, user_stack, pml4, pdpt, directory
gdt:
    .quad   0
    .quad   0x00af9b000000ffff
    .quad   0x00cf93000000ffff
    .quad   0x00affb000000ffff
    .quad   0x00cff3000000ffff
    .quad   0x0000890000000067, 0
    .quad   0x00cf9b000000ffff              /* 32-bit code */
    .quad   0x00cffb000000ffff
    .fill   23, 8, 0
gdt_end:
gdt_pointer:
    .word   gdt_end - gdt - 1
    .quad   gdt
idt_pointer:
    .word   256 * 16 - 1
    .quad   idt

    .balign 4096
pml4:
    .quad   pdpt + PRESENT_WRITABLE_USER
    .fill   511, 8, 0
pdpt:
    .quad   directory + PRESENT_WRITABLE_USER
    .fill   511, 8, 0
directory:
    .set    address, 0
    .rept   512
    .quad   address + LARGE + PRESENT_WRITABLE_USER
    .set    address, address + 0x200000
    .endr

    .bss
    .balign 16
idt:
    .skip   256 * 16
tss:
    .skip   256
    .balign 4096
    .skip   0x6000
stack_top:
    .skip   0x1000
user_stack:
    .section .note.GNU-stack, "", @progbits
