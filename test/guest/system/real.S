/*
 * Real mode: interrupts through the vector table, arithmetic exceptions, wrapping of segments,
 * strings, far calls, single steps, and limits that stay from protected mode.
 */
#include "multiboot.inc"

#define REAL    0x20000
#define STACK   0x3000

    .globl  _start
_start:
    cli
    movl    $real_start, %esi
    movl    $REAL, %edi
    movl    $(real_end - real_start), %ecx
    rep     movsb
    lgdt    gdt_pointer
    ljmp    $0x18, $1f
1:  movl    $0x10, %eax             /* data with 16-bit limits */
    movl    %eax, %ds
    movl    %eax, %es
    movl    %eax, %fs
    movl    %eax, %ss
    movl    $0x20, %eax             /* GS keeps a limit of 4 GiB */
    movl    %eax, %gs
    ljmp    $0x08, $(leave_protection - real_start)

    .balign 8
gdt:
    .quad   0
    .quad   0x00009b020000ffff      /* 16-bit code at REAL */
    .quad   0x000093000000ffff
    .quad   0x00cf9b000000ffff
    .quad   0x00cf93000000ffff
gdt_pointer:
    .word   . - gdt - 1
    .long   gdt

    .code16
/* From here on offsets count from REAL. */
#define AT(label) (label - real_start)
real_start:
leave_protection:
    movl    %cr0, %eax
    andb    $0xfe, %al
    movl    %eax, %cr0
    ljmp    $(REAL >> 4), $AT(in_real_mode)

in_real_mode:
    movw    %cs, %ax
    movw    %ax, %ds
    movw    %ax, %es
    xorw    %ax, %ax
    movw    %ax, %fs
    movw    $0x3000, %ax
    movw    %ax, %ss
    movw    $STACK, %sp
    lidt    AT(vectors)

/* Sets a vector of the table at 0. */
    .macro  set_vector number, handler
    movw    $AT(\handler), %fs:4 * \number
    movw    %cs, %fs:4 * \number + 2
    .endm
    set_vector 0, fault
    set_vector 1, step
    set_vector 3, trap
    set_vector 4, trap
    set_vector 5, fault
    set_vector 6, fault
    set_vector 12, fault
    set_vector 13, fault
    set_vector 0x60, service

/* Prints a string that follows. */
    .macro  say text
    call    print
    .asciz  "\text"
    .endm

/* What is between is done, and the offset of its fault or "ok" printed. */
    .macro  attempt name
    say     "\name: "
    movw    $AT(7770f), %cs:AT(resume)
    movw    $AT(7771f), %cs:AT(started)
    movw    %sp, %cs:AT(saved_sp)
    movw    $0xffff, %bp
7771:
    .endm
    .macro  attempted
7770:
    call    report
    .endm

    say     "interrupts\n"
    movw    $0x1234, %ax
    say     "service: "
    int     $0x60
    call    print_word
    say     "flags in it: "
    movw    AT(service_flags), %ax
    andw    $0x0300, %ax
    call    print_word
    attempt "divide"
    xorw    %bx, %bx
    divw    %bx
    attempted
    attempt "bound"
    movw    $3, %ax
    boundw  %ax, AT(bounds)
    attempted
    attempt "bound, beyond"
    movw    $9, %ax
    boundw  %ax, AT(bounds)
    attempted
    attempt "undefined"
    ud2
    attempted
    attempt "arpl"
    .byte   0x63, 0xc0
    attempted
    attempt "lldt"
    lldt    %ax
    attempted
    attempt "breakpoint"
    int3
    attempted
    attempt "overflow"
    movb    $0x7f, %al
    incb    %al
    into
    attempted

    say     "segments\n"
    movw    $0xfff0, %bx
    movw    $0x55aa, %gs:0x10(%bx)
    say     "wrapped offset: "
    movw    %gs:0, %ax
    call    print_word
    movw    $0xffff, %ax
    movw    %ax, %gs
    say     "across 1 MiB: "
    movl    $0x100000, %ebx
    movw    $0x1bad, %gs:0x10
    xorw    %ax, %ax
    movw    %ax, %gs
    movw    %gs:(%ebx), %ax
    call    print_word
    say     "code is writable: "
    movw    $0x4321, %cs:AT(scratch)
    movw    AT(scratch), %ax
    call    print_word

    say     "strings\n"
    movw    $AT(letters), %si
    movw    $AT(scratch), %di
    movw    $5, %cx
    cld
    rep     movsb
    call    print_scratch
    movw    $AT(letters) + 4, %si
    movw    $AT(scratch), %di
    movw    $5, %cx
1:  std
    lodsb
    cld
    stosb
    loop    1b
    call    print_scratch
    movw    $AT(letters), %di
    movw    $5, %cx
    movb    $'d', %al
    repne   scasb
    movw    %cx, %ax
    say     "left: "
    call    print_word
    movw    $0x4000, %ax
    movw    %ax, %es
    movw    $0xfffe, %di
    movw    $4, %cx
    movb    $'w', %al
    rep     stosb
    movw    %di, %ax
    say     "wrapped di: "
    call    print_word
    movw    %es:0, %ax
    say     "at its start: "
    call    print_word
    movw    %cs, %ax
    movw    %ax, %es

    say     "far calls\n"
    say     "direct: "
    lcall   $((REAL >> 4) - 1), $AT(far_target) + 16
    call    print_word
    say     "indirect: "
    lcall   *AT(far_pointer)
    call    print_word
    say     "with parameters: "
    movw    %sp, %bx
    pushw   $7
    lcall   $(REAL >> 4), $AT(far_parameters)
    subw    %sp, %bx
    addw    %bx, %ax
    call    print_word
    say     "32-bit return: "
    movw    %sp, %bx
    lcalll  $(REAL >> 4), $AT(far_target_32)
    subw    %sp, %bx
    addw    %bx, %ax
    call    print_word
    say     "iret: "
    pushw   $0x0ad5
    pushw   %cs
    pushw   $AT(1f)
    iret
1:  pushf
    popw    %ax
    andw    $0x0cd5, %ax
    cld
    call    print_word

    say     "stacks\n"
    movw    $0, %sp
    pushw   $0x7777
    movw    %sp, %ax
    movw    $STACK, %sp
    say     "push at 0: "
    call    print_word
    say     "upper half of esp: "
    movl    $0x12340000 + STACK, %esp
    pushw   %ax
    popw    %bx
    shrl    $16, %esp
    movw    %sp, %ax
    movl    $STACK, %esp
    call    print_word
    say     "enter: "
    movw    $0x2000, %bp
    enter   $8, $2
    movw    %sp, %ax
    leave
    call    print_word
    say     "pushed sp: "
    pushw   %sp
    popw    %ax
    call    print_word

    say     "steps\n"
    pushf
    orb     $1, %ss:-1 + STACK
    popf
    nop
    movw    %ss, %ax
    movw    %ax, %ss
    nop
    pushf
    andb    $0xfe, %ss:-1 + STACK
    popf
    movw    AT(steps), %ax
    say     "count: "
    call    print_word

    say     "protection\n"
    say     "msw: "
    smsw    %ax
    andw    $1, %ax
    call    print_word
    movl    $0x100000, %ebx
    movl    $0x600df00d, %gs:(%ebx)
    say     "beyond 64 KiB: "
    movw    %gs:2(%ebx), %ax
    call    print_word

    movw    $0x501, %dx
    movw    $41, %ax
    outw    %ax, %dx
1:  cli
    hlt
    jmp     1b

service:
    pushw   %bp
    movw    %sp, %bp
    pushf
    popw    %cs:AT(service_flags)
    incw    %ax
    popw    %bp
    iret

/* Faults and traps: BP = vector's kind and offset, then on behind the attempt. */
fault:
trap:
    movw    %sp, %bp
    movw    (%bp), %bp
    subw    %cs:AT(started), %bp
    movw    %cs:AT(saved_sp), %sp
    addw    $-6, %sp
    movw    %bp, %cs:AT(where)
    movw    %sp, %bp
    pushw   %cs:AT(resume)
    popw    (%bp)
    movw    %cs, 2(%bp)
    movw    $2, 4(%bp)
    movw    %cs:AT(where), %bp
    iret

step:
    incw    %cs:AT(steps)
    iret

far_target:
    movw    %cs, %ax
    lret
far_target_32:
    movw    $0x320, %ax
    lretl
far_parameters:
    pushw   %bp
    movw    %sp, %bp
    movw    6(%bp), %ax
    popw    %bp
    lret    $2

report:
    cmpw    $0xffff, %bp
    je      1f
    movw    %bp, %ax
    jmp     print_word
1:  say     "ok\n"
    ret

/* AL, once the transmitter is empty. */
put:
    pushw   %dx
    pushw   %ax
    movw    $0x3fd, %dx
1:  inb     %dx, %al
    testb   $0x20, %al
    jz      1b
    popw    %ax
    movw    $0x3f8, %dx
    outb    %al, %dx
    popw    %dx
    ret

/* The string behind the call. */
print:
    popw    %si
    pushw   %ax
    cld
1:  lodsb
    testb   %al, %al
    jz      2f
    call    put
    jmp     1b
2:  popw    %ax
    jmp     *%si

print_word:
    pushaw
    movw    %ax, %bx
    movw    $4, %cx
1:  rolw    $4, %bx
    movb    %bl, %al
    andb    $15, %al
    cmpb    $10, %al
    jb      2f
    addb    $'a' - '0' - 10, %al
2:  addb    $'0', %al
    call    put
    loop    1b
    movb    $'\n', %al
    call    put
    popaw
    ret

print_scratch:
    pushaw
    movw    $AT(scratch), %si
    movw    $5, %cx
    cld
1:  lodsb
    call    put
    loop    1b
    movb    $'\n', %al
    call    put
    popaw
    ret

    .balign 4
vectors:
    .word   0x3ff
    .long   0
far_pointer:
    .word   AT(far_target), REAL >> 4
bounds:
    .word   1, 5
letters:
    .ascii  "abcde"
    .balign 2
scratch:
    .skip   8
resume:
    .word   0
started:
    .word   0
saved_sp:
    .word   0
where:
    .word   0
service_flags:
    .word   0
steps:
    .word   0
real_end:
    .section .note.GNU-stack, "", @progbits
