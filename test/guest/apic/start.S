/* Multiboot entry to 64-bit code with all of the lower 4 GiB mapped as it is. */
#define MAGIC 0x1badb002
#define PRESENT_WRITABLE 3
#define LARGE 0x80

    .text
    .balign 4
    .long   MAGIC
    .long   0
    .long   -MAGIC

    .code32
    .globl  _start
_start:
    cli
    movl    $stack_top, %esp
    movl    $pml4, %eax
    movl    %eax, %cr3
    movl    $0x20, %eax             /* PAE */
    movl    %eax, %cr4
    movl    $0xc0000080, %ecx       /* EFER.LME */
    rdmsr
    orl     $0x100, %eax
    wrmsr
    lgdt    gdt_pointer
    movl    %cr0, %eax
    orl     $0x80000001, %eax       /* PG, PE */
    movl    %eax, %cr0
    ljmp    $8, $long_mode

    .code64
long_mode:
    movl    $16, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    call    guest_main              /* does not return */

    .data
    .balign 8
gdt:
    .quad   0
    .quad   0x00af9b000000ffff
    .quad   0x00cf93000000ffff
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .balign 4096
pml4:
    .quad   pdpt + PRESENT_WRITABLE
    .fill   511, 8, 0
pdpt:
    .quad   directories + 0x0000 + PRESENT_WRITABLE
    .quad   directories + 0x1000 + PRESENT_WRITABLE
    .quad   directories + 0x2000 + PRESENT_WRITABLE
    .quad   directories + 0x3000 + PRESENT_WRITABLE
    .fill   508, 8, 0
    .globl  directories
directories:
    .set    address, 0
    .rept   2048
    .quad   address + LARGE + PRESENT_WRITABLE
    .set    address, address + 0x200000
    .endr

    .bss
    .balign 16
    .skip   8192
stack_top:
    .section .note.GNU-stack, "", @progbits
