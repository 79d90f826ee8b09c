/* Entered in 64-bit mode with a stack; the argument is in %rdi. */
        .text
        .globl  start
start:
        leaq    (%rsp), %rsi
        pushfq
        popq    %rdx
        call    run

        .section .note.GNU-stack, "", @progbits
