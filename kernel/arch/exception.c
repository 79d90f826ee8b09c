/* The report of an exception: what a person needs to find the cause. */
#include <kernel/memory.h>
#include <kernel/platform.h>
#include <kernel/serial.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/* What vectors.S and the processor pushed, lowest address first. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector, error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};

static const char *const vector_names[32] = {
    [0] = "divide error",
    [1] = "debug",
    [2] = "non-maskable interrupt",
    [3] = "breakpoint",
    [4] = "overflow",
    [5] = "bound range exceeded",
    [6] = "invalid opcode",
    [7] = "device not available",
    [8] = "double fault",
    [10] = "invalid TSS",
    [11] = "segment not present",
    [12] = "stack segment fault",
    [13] = "general protection fault",
    [14] = "page fault",
    [16] = "x87 floating-point error",
    [17] = "alignment check",
    [18] = "machine check",
    [19] = "SIMD floating-point error",
    [20] = "virtualisation exception",
    [21] = "control protection",
    [29] = "VMM communication",
    [30] = "security exception",
};

#define PAGE_FAULT 14

/* Error code of a page fault (Intel SDM vol. 3A, figure 4-12). */
#define PF_PRESENT 0x01
#define PF_WRITE   0x02
#define PF_FETCH   0x10

#define STACK_WORDS 16

static uint64_t read_cr2(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static uint64_t read_cr3(void)
{
    uint64_t value;
    __asm__ volatile("movq %%cr3, %0" : "=r"(value));
    return value;
}

static void explain_page_fault(uint64_t error_code, uint64_t address)
{
    const char *access = error_code & PF_FETCH   ? "executing"
                         : error_code & PF_WRITE ? "writing"
                                                 : "reading";
    const char *reason = error_code & PF_PRESENT ? "the page does not allow it"
                         : address < PAGE_SIZE
                             ? "a null pointer: page zero is never mapped"
                         : address / PAGE_SIZE == stack_guard_page / PAGE_SIZE
                             ? "the stack is used up"
                             : "no memory is mapped there";

    printf("%s 0x%lx: %s\n", access, address, reason);
}

static void print_registers(const struct exception_frame *frame)
{
    printf("RIP %016lx  RSP %016lx  RFLAGS %08lx  CS %lx  SS %lx\n", frame->rip,
           frame->rsp, frame->rflags, frame->cs, frame->ss);
    printf("RAX %016lx  RBX %016lx  RCX %016lx\n", frame->rax, frame->rbx,
           frame->rcx);
    printf("RDX %016lx  RSI %016lx  RDI %016lx\n", frame->rdx, frame->rsi,
           frame->rdi);
    printf("RBP %016lx  R8  %016lx  R9  %016lx\n", frame->rbp, frame->r8,
           frame->r9);
    printf("R10 %016lx  R11 %016lx  R12 %016lx\n", frame->r10, frame->r11,
           frame->r12);
    printf("R13 %016lx  R14 %016lx  R15 %016lx\n", frame->r13, frame->r14,
           frame->r15);
    printf("CR2 %016lx  CR3 %016lx\n", read_cr2(), read_cr3());
}

/* Comes last in the report: the stack pointer itself may be what is wrong, and
 * then these reads fault again. Where it has only left the stack at its end,
 * the end is shown. */
static void print_stack(uint64_t rsp)
{
    if (rsp / PAGE_SIZE == stack_guard_page / PAGE_SIZE)
        rsp = stack_guard_page + PAGE_SIZE;

    const uint64_t *words = (const uint64_t *)(rsp & ~7ull);

    printf("stack");
    for (int i = 0; i < STACK_WORDS; i++)
        printf("%s%016lx", i % 4 ? "  " : "\n    ", words[i]);
    printf("\n");
}

/* Called by vectors.S with interrupts disabled. */
_Noreturn void exception_report(const struct exception_frame *frame);
_Noreturn void exception_report(const struct exception_frame *frame)
{
    static bool reporting;
    const char *name = vector_names[frame->vector & 31];

    if (reporting) {
        static const char message[] = "\n(another exception in this report)\n";

        serial_write(message, sizeof(message) - 1);
        platform_exit(EXIT_ABORT);
    }
    reporting = true;
    printf("\nABORT: exception %lu, %s, error code 0x%lx, at RIP 0x%lx\n",
           frame->vector, name ? name : "reserved", frame->error_code,
           frame->rip);
    if (frame->vector == PAGE_FAULT)
        explain_page_fault(frame->error_code, read_cr2());
    print_registers(frame);
    print_stack(frame->rsp);
    platform_exit(EXIT_ABORT);
}
