/* From the Multiboot entry to guest_main() with paging on and an interrupt table loaded: in long
 * mode over pages of 2 MiB, or, in the build for 32 bits, in protected mode over pages of 4 MiB.
 * Linear addresses are physical addresses, up to 1 GiB. */

#define MULTIBOOT_MAGIC 0x1badb002
#define MULTIBOOT_FLAGS 0x00000002 /* memory information */

#define CR0_MP 0x00000002
#define CR0_EM 0x00000004
#define CR0_NE 0x00000020
#define CR0_WP 0x00010000
#define CR0_PG 0x80000000

#define CR4_PSE        0x010
#define CR4_PAE        0x020
#define CR4_OSFXSR     0x200
#define CR4_OSXMMEXCPT 0x400

#define MSR_EFER 0xc0000080
#define EFER_LME 0x100

/* Present, writable, accessed, dirty, large. */
#define LARGE_PAGE 0xe3
#define TABLE      0x23

#define CODE 0x08
#define DATA 0x10

    .section .multiboot, "a"
    .balign 4
    .long   MULTIBOOT_MAGIC
    .long   MULTIBOOT_FLAGS
    .long   -(MULTIBOOT_MAGIC + MULTIBOOT_FLAGS)

    .text
    .code32
    .globl  _start
_start:
    cld
    movl    $stack_top, %esp
    lgdt    gdt_pointer

#ifdef __x86_64__
    orl     $pointers + TABLE, pml4
    orl     $directory + TABLE, pointers
    movl    $512, %ecx
#define PAGE_SHIFT 21
#define ENTRY_SIZE 8
#define ROOT       pml4
#define FEATURES   (CR4_PAE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#else
    movl    $256, %ecx
#define PAGE_SHIFT 22
#define ENTRY_SIZE 4
#define ROOT       directory
#define FEATURES   (CR4_PSE | CR4_OSFXSR | CR4_OSXMMEXCPT)
#endif
    movl    $directory, %edi
    movl    $LARGE_PAGE, %eax
1:  movl    %eax, (%edi)
    addl    $1 << PAGE_SHIFT, %eax
    addl    $ENTRY_SIZE, %edi
    decl    %ecx
    jnz     1b

    movl    $ROOT, %eax
    movl    %eax, %cr3
    movl    %cr4, %eax
    orl     $FEATURES, %eax
    movl    %eax, %cr4
#ifdef __x86_64__
    movl    $MSR_EFER, %ecx
    rdmsr
    orl     $EFER_LME, %eax
    wrmsr
#endif
    movl    %cr0, %eax
    andl    $~CR0_EM, %eax
    orl     $(CR0_MP | CR0_NE | CR0_WP | CR0_PG), %eax
    movl    %eax, %cr0
    ljmp    $CODE, $paged

#ifdef __x86_64__
    .code64
#endif
paged:
    movl    $DATA, %eax
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %ss
#ifdef __x86_64__
    movl    %ebx, %edi              /* the Multiboot information */
#else
    pushl   $0                      /* the stack at the call: a multiple of 16 */
    pushl   $0
    pushl   $0
    pushl   %ebx
#endif
    call    guest_main              /* does not return */

    .data
    .balign 8
gdt:
    .quad   0
#ifdef __x86_64__
    .quad   0x00209b0000000000      /* 64-bit code */
    .quad   0x0000930000000000      /* data */
#else
    .quad   0x00cf9b000000ffff      /* 32-bit code, 4 GiB */
    .quad   0x00cf93000000ffff      /* data, 4 GiB */
#endif
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .bss
    .balign 4096
#ifdef __x86_64__
pml4:
    .skip   4096
pointers:
    .skip   4096
#endif
directory:
    .skip   4096
    .skip   65536
stack_top:
    .section .note.GNU-stack, "", @progbits
