/* A boot sector that has its processor reset, as programs for the 80286 do to leave protected mode: by the
 * keyboard controller, then by three faults, each with a code in the CMOS of where to go on. The third time
 * there is no code, and it is started anew, which a word in memory tells it. */
    .code16
    .globl  _start
_start:
    xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %ss
    movw    $0x7c00, %sp
    cmpw    $0x1234, 0x600
    je      started
    movw    $0x1234, 0x600
    movw    $back, 0x467
    movw    %ds, 0x469

    movb    $0x0a, %al              /* by the keyboard controller, code 0Ah */
    call    code
    lgdt    gdtr
    movl    %cr0, %eax
    orb     $1, %al
    movl    %eax, %cr0
    movb    $0xfe, %al
    outb    %al, $0x64
    hlt

back:
    xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %ss
    movw    $0x7c00, %sp
    smsw    %ax
    testb   $1, %al
    jnz     failed
    movb    $0x0f, %al
    outb    %al, $0x70
    inb     $0x71, %al
    testb   %al, %al
    jnz     failed
    movw    $back_text, %si
    call    print
    incb    times
    cmpb    $2, times
    je      reset

    movb    $0x05, %al              /* by three faults, code 05h */
    call    code
    lidt    nothing
    int3

reset:
    movb    $0xfe, %al
    outb    %al, $0x64
    hlt

started:
    movw    $started_text, %si
    call    print
    movw    $0x501, %dx             /* exit with status 7 */
    movw    $0x5307, %ax
    outw    %ax, %dx
failed:
    cli
    hlt

code:
    movb    %al, %ah
    movb    $0x0f, %al
    outb    %al, $0x70
    movb    %ah, %al
    outb    %al, $0x71
    ret

#include "print.S"

times:
    .byte   0
back_text:
    .asciz  "back\r\n"
started_text:
    .asciz  "started\r\n"
gdtr:
    .word   0
    .long   0
nothing:
    .word   0
    .long   0
    .org    510
    .word   0xaa55
    .section .note.GNU-stack, "", @progbits
