/* A boot sector that tries what the firmware offers. The first part is in the
 * sector that the BIOS loads; it loads the second part from the same drive. */
    .code16
    .globl  _start
_start:
    xorw    %ax, %ax
    movw    %ax, %ds
    movw    %ax, %es
    movb    %dl, drive
    movw    $0x0201, %ax            /* sector 2 to 0:7e00 */
    movw    $0x0002, %cx
    movb    $0, %dh
    movw    $0x7e00, %bx
    int     $0x13
    jc      failed
    cmpl    $0x12345678, second_part
    jne     failed
    movw    $loaded, %si
    call    print

    movw    $0x0000, %ax            /* a tick comes within 100 ms */
    int     $0x1a
    movw    %dx, %bx
1:  hlt
    int     $0x1a
    cmpw    %bx, %dx
    je      1b
    movw    %dx, %bx
    cli                             /* the BIOS lets the next one in */
2:  int     $0x1a
    cmpw    %bx, %dx
    je      2b
    sti
    movw    $ticked, %si
    call    print

    movb    $0x86, %ah              /* 100 ms */
    movw    $1, %cx
    movw    $0x86a0, %dx
    int     $0x15
    jc      failed
    movw    $waited, %si
    call    print

    movb    $0, %ah                 /* a key, and it is shown */
    int     $0x16
    movb    $0x0e, %ah
    int     $0x10
    movw    $done, %si
    call    print

    movw    $0x501, %dx             /* exit with status 7 */
    movw    $0x5307, %ax
    outw    %ax, %dx
failed:
    movw    $failure, %si
    call    print
    cli
    hlt

#include "print.S"

drive:
    .byte   0
loaded:
    .asciz  "loaded\r\n"
ticked:
    .asciz  "ticked\r\n"
waited:
    .asciz  "waited\r\nkey? "
done:
    .asciz  "\r\ndone\r\n"
failure:
    .asciz  "failed\r\n"

    .org    510
    .word   0xaa55
second_part:
    .long   0x12345678
    .org    1024
    .section .note.GNU-stack, "", @progbits
