/* Where the processor enters the kernel: one stub a vector.
 *
 * Every vector uses IST1, so that the processor always starts to push at the
 * same address. The IST1 pointer is interrupt_stack_page + 4080:
 *
 *   + 4080  (nothing above is used)
 *   + 4072  SS
 *   + 4064  RSP
 *   + 4056  RFLAGS
 *   + 4048  CS
 *   + 4040  RIP     where the interrupt or the exception came from
 *   + 4032  error code, pushed by some exceptions, by the stub for the others
 *
 * In gdb, `x/1x interrupt_stack_page+4040` (`x/1gx` for all 64 bits). */

    .text

    /* For debuggers: how to get from a stub back to what was interrupted. The
     * processor pushed five words; the CFA is above them. */
    .cfi_sections .debug_frame

    .macro frame pushed=0
    .cfi_startproc simple
    .cfi_signal_frame
    .cfi_def_cfa %rsp, 40 + 8 * \pushed
    .cfi_offset %rip, -40
    .cfi_offset %rsp, -16
    .endm

    .macro save register
    pushq   %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset %\register, 0
    .endm

    .macro restore register
    popq    %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore %\register
    .endm

    /* An exception: the whole register state goes into a struct
     * exception_frame for the report. RSP was a multiple of 16 before the
     * pushes of the processor: five, error code, vector and 15 registers
     * leave it one again for the call. */
    .macro exception vector, has_error_code=0
exception_\vector:
    frame   \has_error_code
    .if \has_error_code == 0
    pushq   $0
    .cfi_adjust_cfa_offset 8
    .endif
    pushq   $\vector
    .cfi_adjust_cfa_offset 8
    jmp     exception_entry
    .cfi_endproc
    .endm

exception_entry:
    frame   2
    save    rax
    save    rbx
    save    rcx
    save    rdx
    save    rsi
    save    rdi
    save    rbp
    save    r8
    save    r9
    save    r10
    save    r11
    save    r12
    save    r13
    save    r14
    save    r15
    cld
    movq    %rsp, %rdi
    call    exception_report        /* does not return */
    /* gdb looks the frame up at the return address, which must be in it. */
    ud2
    .cfi_endproc

    /* A device interrupt: only the registers that a C function may change
     * are saved. The handlers use no others (-mgeneral-regs-only), so SSE
     * state needs no saving. */
    .macro irq line
irq_\line:
    frame
    save    rdi
    movl    $\line, %edi
    jmp     irq_entry
    .cfi_endproc
    .endm

irq_entry:
    frame   1
    .cfi_rel_offset %rdi, 0
    save    rax
    save    rcx
    save    rdx
    save    rsi
    save    r8
    save    r9
    save    r10
    save    r11
    cld
    call    irq_dispatch
    restore r11
    restore r10
    restore r9
    restore r8
    restore rsi
    restore rdx
    restore rcx
    restore rax
    restore rdi
    iretq
    .cfi_endproc

    /* Intel SDM vol. 3A, table 6-1: vectors 8, 10 to 14, 17, 21, 29 and 30
     * push an error code. */
    exception 0
    exception 1
    exception 2
    exception 3
    exception 4
    exception 5
    exception 6
    exception 7
    exception 8, 1
    exception 9
    exception 10, 1
    exception 11, 1
    exception 12, 1
    exception 13, 1
    exception 14, 1
    exception 15
    exception 16
    exception 17, 1
    exception 18
    exception 19
    exception 20
    exception 21, 1
    exception 22
    exception 23
    exception 24
    exception 25
    exception 26
    exception 27
    exception 28
    exception 29, 1
    exception 30, 1
    exception 31

    .irp line, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    irq \line
    .endr

    /* The stubs' addresses, in the order of the vectors, for interrupts_init(). */
    .section .rodata
    .balign 8
    .globl  vector_stubs
vector_stubs:
    .irp vector, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .quad   exception_\vector
    .endr
    .irp vector, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31
    .quad   exception_\vector
    .endr
    .irp line, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .quad   irq_\line
    .endr
    .section .note.GNU-stack, "", @progbits
