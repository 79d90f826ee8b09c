/* Writes the text at DS:SI as a teletype. */
print:
    lodsb
    testb   %al, %al
    jz      1f
    movb    $0x0e, %ah
    movw    $7, %bx
    int     $0x10
    jmp     print
1:  ret
