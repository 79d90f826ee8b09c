/* Checks of 64-bit mode that QEMU's translator does not make, or makes elsewhere. */
#include "guest.h"

#define SYSENTER_CS  0x174
#define SYSENTER_ESP 0x175
#define SYSENTER_EIP 0x176

unsigned long inner, outer;

static void addresses(void) {
    print("canonical addresses\n");
    TRY("by rbp", "mov $0x800000000000, %%rbp; mov (%%rbp), %%rax");
    TRY("call", "mov $0x800000000008, %%rsp; call 1f; 1:");
    TRY("jump", "mov $0x800000000000, %%rbx; jmp *%%rbx");
    TRY("ret", "mov $0x800000000000, %%rbx; push %%rbx; ret");
    TRY("iretq",
        "push $0x10; push $0; push $2; push $8; mov $0x800000000000, %%rbx; push %%rbx; iretq");
    TRY("fs base", "wrmsr", "c"(0xc0000100), "a"(0), "d"(0x8000));
    TRY("lstar", "wrmsr", "c"(0xc0000082), "a"(0), "d"(0x8000));
}

static void segments(void) {
    print("segments\n");
    gdt[FREE_64 / 8] = 0x00ef9b000000ffff;
    TRY("long and big", "push $" STRING(FREE_64) "; push $0; lretq");
    TRY("null ss, rpl 3", "mov $3, %%eax; mov %%eax, %%ss");
    TRY("null ds in compatibility mode",
        "xor %%eax, %%eax; mov %%eax, %%ds; push $" STRING(COMPAT_CODE) "; push $1f; lretq;"
        ".code32; 1: mov %%eax, result; .code64");
    set_gate_type(0x40, 0x0e);
    TRY("gate not present", "int $0x40");
    set_gate_type(0x40, 0x86);
    TRY("16-bit gate", "int $0x40");
}

static void system_calls(void) {
    extern char sysenter_entry[];
    print("system calls of Intel's processors\n");
    asm volatile("jmp 1f; sysenter_entry: mov %%cs, %%eax; shl $16, %%eax; mov %%ss, %%ax;"
                 "mov %%rax, result; mov %%rsp, inner; mov %%r8, %%rdx; mov %%r9, %%rcx;"
                 ".byte 0x48, 0x0f, 0x35; 1:" : : : "memory");
    wrmsr(SYSENTER_CS, 0);
    TRY("sysenter without cs", USER("sysenter"));
    wrmsr(SYSENTER_CS, KERNEL_CODE);
    wrmsr(SYSENTER_ESP, 0x12345678);
    wrmsr(SYSENTER_EIP, (u64)sysenter_entry);
    TRY("sysenter and sysexit",
        USER("mov %%rsp, %%r9; mov $1f, %%r8; sysenter; ud2; 1: mov %%cs, %%ebx; shl $16, %%ebx;"
             "mov %%ss, %%bx; mov %%rbx, outer"));
    show("cs, ss", result, 8);
    show("esp", inner, 8);
    show("cs, ss after sysexit", outer, 8);
    TRY("sysexit from level 3", USER("sysexitl"));
    TRY("sysret in compatibility mode",
        "push $" STRING(USER_DATA) "; push $user_stack; push $2; push $" STRING(USER_COMPAT)
        "; push $1f; iretq; .code32; 1: sysret; .code64");
}

static void control_registers(void) {
    print("control registers\n");
    TRY("paging off", "mov %%cr0, %%rax; and $0x7fffffff, %%eax; mov %%rax, %%cr0");
    TRY("pae off", "mov %%cr4, %%rax; and $~0x20, %%eax; mov %%rax, %%cr4");
    TRY("lme off", "mov $0xc0000080, %%ecx; rdmsr; and $~0x100, %%eax; wrmsr");
    TRY("protection off", "mov %%cr0, %%rax; and $~1, %%eax; mov %%rax, %%cr0");
    TRY("upper half of cr0", "mov %%cr0, %%rax; bts $32, %%rax; mov %%rax, %%cr0");
    TRY("nw without cd", "mov %%cr0, %%rax; and $~0x40000000, %%eax; or $0x20000000, %%eax; mov %%rax, %%cr0");
    TRY("reserved in cr4", "mov %%cr4, %%rax; bts $31, %%rax; mov %%rax, %%cr4");
    TRY("cr1", "mov %%cr1, %%rax");
    TRY("cr8", "mov $5, %%eax; mov %%rax, %%cr8; mov %%cr8, %%rbx; mov %%rbx, result; xor %%eax, %%eax; mov %%rax, %%cr8");
    show("cr8", result, 2);
    TRY("cr8, reserved", "mov $16, %%eax; mov %%rax, %%cr8");
    TRY("unknown msr", "rdmsr", "c"(0x12345678));
    TRY("efer, reserved", "wrmsr", "c"(0xc0000080), "a"(-1), "d"(0));
}

void guest_main(void) {
    addresses();
    segments();
    system_calls();
    control_registers();
}
