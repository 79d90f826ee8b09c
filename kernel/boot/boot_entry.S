/* The El Torito boot block, part one: from the BIOS to 32-bit C, and back for
 * every BIOS service.
 *
 *   0x0500 to 0x7bff    stack
 *   0x7c00 to 0x83ff    this block (4 sectors of 512 bytes, as loaded)
 *   0x8400 ...          its zeroed variables
 *   0x10000 to 0x17fff  sectors from the disc, 16 at a time
 *   0x20000 to 0x7ffff  a directory, menu.lst, the loader's file
 *   0x100000 ...        loader and kernel
 */
#define CODE32 0x08
#define DATA32 0x10
#define CODE16 0x18
#define DATA16 0x20

#define CR0_PE 1

    .section .text.start, "ax"
    .code16
    .globl  _start
_start:
    cli
    ljmp    $0, $1f                 /* some BIOSes enter at 07c0:0000 */
1:  xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    $_start, %esp
    cld
    movb    %dl, boot_drive
    call    enter_protected_mode
    .code32
    movl    $bss_start, %edi
    movl    $bss_end, %ecx
    subl    %edi, %ecx
    xorl    %eax, %eax
    rep     stosb
    call    boot_main               /* does not return */

    /* Called in real mode, returns in protected mode, which is why it pops its
     * 16-bit return address itself. The GDT is loaded every time: BIOS services
     * may leave their own behind. No IDT is: interrupts stay disabled here, and
     * IDTR goes on describing the real mode table. */
    .code16
enter_protected_mode:
    popw    %bx
    lgdtl   gdt_pointer
    movl    %cr0, %eax
    orb     $CR0_PE, %al
    movl    %eax, %cr0
    ljmpl   $CODE32, $1f
    .code32
1:  movl    $DATA32, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movzwl  %bx, %ebx
    jmp     *%ebx

    /* void bios_call(uint8_t vector): executes the software interrupt with
     * the values in bios_registers, and stores the resulting ones there. All
     * segment registers are 0. */
    .globl  bios_call
bios_call:
    pushal
    movb    36(%esp), %al
    movb    %al, vector
    movl    %esp, saved_stack
    ljmp    $CODE16, $1f
    .code16
1:  movl    $DATA16, %eax           /* segments with real mode's limits */
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    movl    %cr0, %eax
    andb    $~CR0_PE, %al
    movl    %eax, %cr0
    ljmp    $0, $2f
2:  xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movw    %ax, %ss
    movl    $bios_registers + 4, %esp
    popal
    movl    saved_stack, %esp
    sti
    .byte   0xcd                    /* int */
vector:
    .byte   0
    cli
    cld
    movl    $bios_registers_end, %esp
    pushal
    pushfl
    xorw    %ax, %ax
    movw    %ax, %ds
    movl    saved_stack, %esp
    call    enter_protected_mode
    .code32
    popal
    ret

    .section .data
    .globl  boot_drive
boot_drive:
    .byte   0

    .balign 4
    /* Flat 4 GiB for 32-bit code; 64 KiB from 0 for the way back. */
gdt:
    .quad   0
    .quad   0x00cf9b000000ffff
    .quad   0x00cf93000000ffff
    .quad   0x00009b000000ffff
    .quad   0x000093000000ffff
gdt_pointer:
    .word   gdt_pointer - gdt - 1
    .long   gdt

    .bss
    .balign 4
saved_stack:
    .skip   4
    /* struct bios_registers of boot.c: what PUSHFL and PUSHAL leave. */
    .globl  bios_registers
bios_registers:
    .skip   36
bios_registers_end:
    .section .note.GNU-stack, "", @progbits
