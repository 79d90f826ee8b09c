/* A mebibyte of code, each instruction of it executed once (but for some that are jumped over): what
 * it takes to meet code, and not to run it. Returns a checksum. */

#ifdef __x86_64__
#define A %rax
#define C %rcx
#define D %rdx
#else
#define A %eax
#define C %ecx
#define D %edx
#endif

/* About 32 bytes. */
    .macro piece n
    lea     \n(A, C), A
    xor     D, A
    test    $1 << (\n & 7), %al
    jz      1f
    inc     D
1:  add     A, C
    rol     $(\n & 15) + 1, D
    cmp     C, D
    jb      2f
    sub     $\n, C
2:
    .endm

    .text
    .globl  cold
cold:
    mov     $1, A
    mov     $2, C
    mov     $3, D
    .set    count, 0
    .rept   32768
    piece   count
    .set    count, count + 1
    .endr
    movl    %eax, %eax
#ifndef __x86_64__
    xorl    %edx, %edx
#endif
    ret
    .section .note.GNU-stack, "", @progbits
