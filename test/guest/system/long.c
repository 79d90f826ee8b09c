/* Long mode: addresses, pages, interrupt stacks, system calls, compatibility mode. */
#include "guest.h"

#define STAR   0xc0000081
#define LSTAR  0xc0000082
#define SFMASK 0xc0000084
#define FS_BASE 0xc0000100
#define GS_BASE 0xc0000101
#define KERNEL_GS_BASE 0xc0000102

extern u64 idt[], directory[], pdpt[], pml4[];

static u8 interrupt_stack[0x1000] __attribute__((aligned(16)));
static u8 compat_stack[0x1000] __attribute__((aligned(16)));
static u64 table[512] __attribute__((aligned(4096)));
static u8 page[0x1000] __attribute__((aligned(4096)));
static unsigned long seen_sp, seen_ss, seen_flags;

static void addresses(void) {
    print("canonical addresses\n");
    TRY("read", "mov $0x800000000000, %%rbx; mov (%%rbx), %%rax");
    TRY("lowest of the upper half", "mov $0xffff800000000000, %%rbx; mov (%%rbx), %%rax");
    TRY("highest of the lower half", "mov $0x7fffffffffff, %%rbx; mov (%%rbx), %%al");
    TRY("push", "mov $0x800000000000, %%rsp; push %%rax");
    TRY("fs base, wide", "wrmsr", "c"(FS_BASE), "a"(0), "d"(0x7fff));
    TRY("sum beyond", "mov $0x10000000000, %%rbx; mov %%fs:(%%rbx), %%rax");
    TRY("back to 0", "wrmsr", "c"(FS_BASE), "a"(0), "d"(0));
    TRY("32-bit address size",
        "mov $0xffffffff00000000, %%rbx; add $result, %%rbx; mov (%%ebx), %%rax");
    TRY("invlpg", "mov $0x800000000000, %%rbx; invlpg (%%rbx)");
}

static void pages(void) {
    print("pages\n");
    directory[256] = (u64)table | 7;
    table[0] = (u64)page | 7;
    asm volatile("mov %%cr3, %%rax; mov %%rax, %%cr3" : : : "rax", "memory");
    page[0] = 0xc3;
    TRY("call", "call *%0", "r"(0x20000000ul));
    table[0] = (u64)page | 7 | 1ull << 63;
    asm volatile("invlpg 0x20000000" : : : "memory");
    TRY("call, not executable", "call *%0", "r"(0x20000000ul));
    TRY("read", "mov 0x20000000, %%eax");
    TRY("call from level 3", USER("mov $0x20000000, %%eax; call *%%rax"));
    table[0] = (u64)page | 5;
    asm volatile("invlpg 0x20000000" : : : "memory");
    TRY("write", "mov %%eax, 0x20000000");
    asm volatile("mov %%cr0, %%rax; or $0x10000, %%eax; mov %%rax, %%cr0" : : : "rax");
    TRY("write under wp", "mov %%eax, 0x20000000");
    asm volatile("mov %%cr0, %%rax; and $~0x10000, %%eax; mov %%rax, %%cr0" : : : "rax");
    TRY("user write", USER("mov %%eax, 0x20000000"));
    table[0] = (u64)page | 3;
    asm volatile("invlpg 0x20000000" : : : "memory");
    TRY("user read", USER("mov 0x20000000, %%eax"));
    show("accessed", (pml4[0] & pdpt[0] & directory[0]) >> 5 & 1, 1);
}

static void see_stack(struct frame *frame) {
    seen_sp = (unsigned long)(&frame->ss + 1);
    seen_ss = frame->ss;
    seen_flags = frame->flags;
}

static void interrupt_stacks(void) {
    unsigned long sp;
    print("interrupt stacks\n");
    hooks[0x40] = see_stack;
    asm volatile("mov %%rsp, %0; int $0x40" : "=r"(sp) : : "memory");
    show("the same one, aligned", seen_sp == (sp & ~15ul), 1);
    *(u64 *)((u8 *)tss + 36) = (u64)(interrupt_stack + sizeof interrupt_stack - 5);
    ((u8 *)idt)[0x40 * 16 + 4] = 1;
    asm volatile("int $0x40" : : : "memory");
    show("ist 1, aligned", seen_sp == (u64)(interrupt_stack + sizeof interrupt_stack - 16), 1);
    *(u64 *)((u8 *)tss + 36) = 0x800000000000;
    TRY("ist not canonical", "int $0x40");
    ((u8 *)idt)[0x40 * 16 + 4] = 0;
    set_gate_type(0x40, 0xee);
    TRY("from level 3", USER("int $0x40; mov %%ss, %%eax; mov %%rax, result"));
    show("rsp0", seen_sp == *(u64 *)((u8 *)tss + 4), 1);
    show("pushed ss", seen_ss, 4);
    show("ss afterwards", result, 4);
    set_gate_type(0x40, 0x8e);
    hooks[0x40] = 0;
}

static void system_calls(void) {
    extern char entry[];
    print("system calls\n");
    asm volatile("jmp 1f;"
                 "entry: mov %%cs, %%eax; shl $16, %%eax; mov %%ss, %%ax; mov %%rax, result;"
                 "mov %%r11, seen_flags; pushf; pop seen_ss; sysretq; 1:"
                 : : : "memory");
    wrmsr(STAR, (u64)0x10 << 48 | (u64)KERNEL_CODE << 32);
    wrmsr(LSTAR, (u64)entry);
    wrmsr(SFMASK, 0x400);
    gdt[FREE_64 / 8] = 0;
    TRY("syscall", USER("std; syscall; mov %%cs, %%ebx; shl $16, %%rbx; mov %%ss, %%bx; mov %%rbx, seen_sp"));
    show("cs, ss", result, 8);
    show("r11", seen_flags, 8);
    show("masked flags", seen_ss, 8);
    show("cs, ss after sysret", seen_sp, 8);
    TRY("sysret from level 3", USER("sysretq"));
    TRY("syscall without sce",
        "mov $0xc0000080, %%ecx; rdmsr; and $~1, %%eax; wrmsr; syscall");
    ATTEMPT("mov $0xc0000080, %%ecx; rdmsr; or $1, %%eax; wrmsr");
    TRY("swapgs from level 3", USER("swapgs"));
    wrmsr(GS_BASE, 0x1000);
    wrmsr(KERNEL_GS_BASE, 0x2000);
    TRY("swapgs", "swapgs");
    show("gs base", rdmsr(GS_BASE), 8);
    show("kernel gs base", rdmsr(KERNEL_GS_BASE), 8);
}

static void compatibility(void) {
    print("compatibility mode\n");
    asm volatile("jmp 1f; .code32; compat_code: mov %%esp, result; inc %%eax; dec %%eax; push %%eax;"
                 "pop %%eax; add $4, %%esp; int $0x80; .code64; 1:" : : : "memory");
    TRY("level 3", "movq $compat_code, attempted; push $" STRING(USER_DATA) "; push %0; push $2; push $" STRING(USER_COMPAT)
        "; push $compat_code; mov $" STRING(USER_DATA) ", %%eax; mov %%eax, %%ds;"
        "mov $0x1122334455667788, %%rax; iretq",
        "r"((u64)(compat_stack + sizeof compat_stack)));
    show("esp", result == (u64)(compat_stack + sizeof compat_stack), 1);
    TRY("level 0, and back",
        "push $" STRING(COMPAT_CODE) "; push $1f; lretq; .code32;"
        "1: mov $0x10, %%eax; mov %%eax, %%ss; mov $-1, %%eax; inc %%eax; mov %%eax, result;"
        "ljmp $8, $2f; .code64; 2:");
    show("eax", result, 8);
    TRY("null ss", "push $" STRING(COMPAT_CODE) "; push $1f; xor %%eax, %%eax; mov %%eax, %%ss; lretq;"
        ".code32; 1: ljmp $8, $2f; .code64; 2:");
    TRY("ljmp with an immediate", ".byte 0xea, 0, 0, 0, 0, 8, 0");
    TRY("push es", ".byte 6");
    TRY("pusha", ".byte 0x60");
    TRY("into", ".byte 0xce");
    TRY("null data segments", "xor %%eax, %%eax; mov %%eax, %%ds; mov result, %%eax");
    TRY("null ss", "xor %%eax, %%eax; mov %%eax, %%ss; push %%rax; mov $0x10, %%eax; mov %%eax, %%ss");
}

void guest_main(void) {
    addresses();
    pages();
    interrupt_stacks();
    system_calls();
    compatibility();
}
