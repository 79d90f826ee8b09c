/* The loader's first and last instructions: the Multiboot entry, and the step
 * from 32-bit protected mode into long mode. */
#include <kernel/boot_info.h>
#include <kernel/multiboot.h>

#define HEADER_FLAGS (MULTIBOOT_PAGE_ALIGN | MULTIBOOT_MEMORY_INFO)

#define CR0_PE 0x00000001
#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_TS 0x00000008
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_NW 0x20000000
#define CR0_CD 0x40000000
#define CR0_PG 0x80000000

#define CR4_PAE        0x020
#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400

#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define EFER_NXE 0x800

    .section .multiboot, "a"
    .balign 4
    .long   MULTIBOOT_HEADER_MAGIC
    .long   HEADER_FLAGS
    .long   -(MULTIBOOT_HEADER_MAGIC + HEADER_FLAGS)

    .text
    .code32
    /* EAX holds the bootloader magic and EBX the address of the information;
     * interrupts are disabled, paging is off, everything else is unknown. */
    .globl  _start
_start:
    cld
    movl    $stack_top, %esp
    pushl   %ebx
    pushl   %eax
    call    loader_main             /* does not return */

    /* enter_long_mode(entry, boot_info, stack_top, page_tables, no_execute)
     *
     * The order is the manual's (Intel SDM vol. 3A, 9.8.5): CR4.PAE, CR3,
     * EFER.LME, then CR0.PG. With PG the processor is in long mode but still
     * runs 32-bit code, until the far jump loads a 64-bit code segment. */
    .globl  enter_long_mode
enter_long_mode:
    movl    4(%esp), %esi           /* entry */
    movl    8(%esp), %edi           /* boot_info */
    movl    12(%esp), %ebp          /* stack_top */
    movl    16(%esp), %ebx          /* page_tables */

    /* Applications may use SSE, so its enabling bits are set here as well. */
    movl    %cr4, %eax
    orl     $(CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT), %eax
    movl    %eax, %cr4
    movl    %ebx, %cr3

    movl    $MSR_EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    cmpl    $0, 20(%esp)            /* no_execute */
    je      1f
    orl     $EFER_NXE, %eax
1:  wrmsr

    lgdt    gdt_pointer
    movl    %cr0, %eax
    andl    $~(CR0_EM | CR0_TS | CR0_NW | CR0_CD), %eax
    orl     $(CR0_PE | CR0_MP | CR0_NE | CR0_WP | CR0_PG), %eax
    movl    %eax, %cr0
    ljmp    $SELECTOR_CODE64, $long_mode

    .code64
long_mode:
    movl    $SELECTOR_DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
    xorl    %eax, %eax
    movl    %eax, %fs
    movl    %eax, %gs
    movl    $SELECTOR_TSS, %eax
    ltr     %ax

    /* 32-bit moves clear the upper halves; ESI and EDI carried over. */
    movl    %ebp, %esp
    movl    %esi, %eax
    movl    %edi, %edi
    jmp     *%rax

    .bss
    .balign 16
    .skip   4096
stack_top:
    .section .note.GNU-stack, "", @progbits
