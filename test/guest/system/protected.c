/* Protected mode: segment loads, far transfers, gates, levels, and what each check raises. */
#include "guest.h"

#define DATA_0      0xc093
#define READ_ONLY_0 0xc091
#define CODE_0      0xc09b
#define LOAD(register) "mov %0, %%eax; mov %%eax, %%" register

static u64 ldt[4];

static void set_gate(int selector, u32 offset, u32 target, u32 type, u32 count) {
    gdt[selector / 8] = (u64)((offset & 0xffff0000) | type << 8 | count) << 32 |
                        (target << 16 | (offset & 0xffff));
}

static void data_segments(void) {
    print("data segments\n");
    asm volatile("lldt %%ax" : : "a"(0));
    TRY("null", LOAD("ds"), "i"(0));
    TRY("null, rpl 3", LOAD("ds"), "i"(3));
    TRY("flat", LOAD("fs") "; mov %%fs:0x100000, %%eax", "i"(KERNEL_DATA));
    TRY("beyond the gdt", LOAD("fs"), "i"(0x100));
    TRY("its last entry", LOAD("fs"), "i"(0xf8));
    TRY("system segment", LOAD("fs"), "i"(TSS));
    TRY("no ldt", LOAD("fs"), "i"(0x0c));
    set_descriptor(FREE, 0, 0xfffff, DATA_0 & ~0x80);
    TRY("not present", LOAD("fs"), "i"(FREE));
    set_descriptor(FREE, 0, 0xfffff, 0xc099);
    TRY("execute-only", LOAD("fs"), "i"(FREE));
    set_descriptor(FREE, 0, 0xfffff, CODE_0);
    TRY("readable code", LOAD("fs"), "i"(FREE));
    TRY("rpl too low a privilege", LOAD("fs"), "i"(KERNEL_DATA | 3));
    set_descriptor(FREE, 0, 0xfffff, 0xc092);
    TRY("not yet accessed", LOAD("fs"), "i"(FREE));
    show("accessed", gdt[FREE / 8] >> 40 & 1, 1);
    set_descriptor(FREE, 0x100000, 0xfff, 0x4093);
    TRY("with a base", LOAD("fs") "; mov %%fs:0, %%eax; mov %%eax, result", "i"(FREE));
    show("the same bytes", result == *(u32 *)0x100000, 1);
    TRY("mov cs", ".byte 0x8e, 0xc8");
    TRY("mov segment 6", ".byte 0x8e, 0xf0");
}

static void stack_segments(void) {
    print("stack segments\n");
    TRY("null", LOAD("ss"), "i"(0));
    set_descriptor(FREE, 0, 0xfffff, READ_ONLY_0);
    TRY("read-only", LOAD("ss"), "i"(FREE));
    set_descriptor(FREE, 0, 0xfffff, DATA_0 & ~0x80);
    TRY("not present", LOAD("ss"), "i"(FREE));
    TRY("rpl 3", LOAD("ss"), "i"(KERNEL_DATA | 3));
    TRY("dpl 3", LOAD("ss"), "i"(USER_DATA & ~3));
    TRY("code", LOAD("ss"), "i"(KERNEL_CODE));
    TRY("beyond", LOAD("ss"), "i"(0x100));
    TRY("pop", "push $" STRING(KERNEL_DATA) "; pop %%ss; mov %%ss, %%eax; mov %%eax, result");
    show("ss", result, 4);
}

static void far_transfers(void) {
    print("far transfers\n");
    TRY("jump", "ljmp $8, $1f; ud2; 1:");
    TRY("jump, null", "ljmp $0, $0");
    TRY("jump to data", "ljmp $0x10, $0");
    TRY("jump to level 3", "ljmp $0x1b, $0");
    set_descriptor(FREE, 0, 0xfffff, CODE_0 & ~0x80);
    TRY("not present", "ljmp $0x38, $0");
    set_descriptor(FREE, 0, 0xfff, 0x409b);
    TRY("beyond the limit", "ljmp $0x38, $0x1000");
    TRY("call and return", "lcall $8, $1f; jmp 2f; 1: mov 4(%%esp), %%eax; mov %%eax, result; lret; 2:");
    show("pushed", result, 4);
    TRY("return to data", "push $0x10; push $0; lret");
    TRY("return to null", "push $0; push $0; lret");
    set_descriptor(FREE, 0, 0xfffff, 0xc09f);
    TRY("conforming", "ljmp $0x38, $1f; 1: mov %%cs, %%eax; mov %%eax, result; ljmp $8, $2f; 2:");
    show("cs", result, 4);
    set_descriptor(FREE, 0x100000, 0xffff, 0x009b);
    TRY("16-bit code",
        "mov $0x12345678, %%eax; ljmp $0x38, $1f - 0x100000;"
        ".code16; 1: mov $0xabcd, %%ax; push %%ax; pop %%bx; addl $1, %%eax;"
        "ljmpl $8, $2f; .code32; 2: mov %%eax, result");
    show("eax", result, 8);
}

static void gates(void) {
    extern char gate_target[];
    print("call gates\n");
    asm volatile("jmp 1f; gate_target: mov %%esp, result; lret; 1:" : : : "memory");
    set_gate(FREE, (u32)gate_target, KERNEL_CODE, 0x8c, 0);
    TRY("same level", "mov %%esp, %%ebx; lcall $0x38, $0; sub result, %%ebx; mov %%ebx, result");
    show("pushed bytes", result, 2);
    TRY("jump", "push %%cs; push $1f; ljmp $0x38, $0; 1:");
    set_gate(FREE, (u32)gate_target, KERNEL_CODE, 0x0c, 0);
    TRY("not present", "lcall $0x38, $0");
    set_gate(FREE, (u32)gate_target, KERNEL_DATA, 0x8c, 0);
    TRY("to data", "lcall $0x38, $0");
    set_gate(FREE, (u32)gate_target, 0, 0x8c, 0);
    TRY("to null", "lcall $0x38, $0");
    set_gate(FREE, (u32)gate_target, KERNEL_CODE, 0x8c, 0);
    TRY("from level 3, dpl 0", USER("lcall $0x38, $0"));
    set_gate(FREE, (u32)gate_target, KERNEL_CODE, 0xec, 0);
    TRY("from level 3", USER("lcall $0x3b, $0"));
    show("bytes on the inner stack", tss[1] - result, 2);
    TRY("jump from level 3", USER("ljmp $0x3b, $0"));
    asm volatile("jmp 1f; gate_with_parameters: push %%eax; mov 12(%%esp), %%eax;"
                 "shl $16, %%eax; mov 16(%%esp), %%ax; mov %%eax, result; pop %%eax; lret $8; 1:"
                 : : : "memory");
    extern char gate_with_parameters[];
    set_gate(FREE, (u32)gate_with_parameters, KERNEL_CODE, 0xec, 2);
    TRY("with parameters",
        USER("mov %%esp, %%ebx; push $0x1234; push $0x5678; lcall $0x3b, $0; sub %%esp, %%ebx;"
             "jz 1f; ud2; 1:"));
    show("parameters", result, 8);
}

static void levels(void) {
    print("level 3\n");
    TRY("cs", USER("mov %%cs, %%eax; mov %%eax, result"));
    show("cs", result, 4);
    TRY("hlt", USER("hlt"));
    TRY("cli", USER("cli"));
    TRY("in", USER("in $0x80, %%al"));
    TRY("mov cr0", USER("mov %%cr0, %%eax"));
    TRY("lgdt", USER("lgdt 0x100000"));
    TRY("ltr", USER("ltr %%ax"));
    TRY("rdmsr", USER("rdmsr"));
    TRY("wbinvd", USER("wbinvd"));
    TRY("int without permission", USER("int $0x30"));
    TRY("int3 without permission", USER("int3"));
    TRY("load data of level 0", USER("mov $0x10, %%eax; mov %%eax, %%ds"));
    TRY("load ss of level 0", USER("mov $0x10, %%eax; mov %%eax, %%ss"));
    TRY("jump to level 0", USER("ljmp $8, $0"));
    TRY("iret to level 0", USER("push $2; push $8; push $0; iretl"));
    TRY("popf leaves if and iopl", USER("push $0x3202; popf; pushf; pop result"));
    show("flags", result, 4);
    tss[25] = 0x68 << 16;
    ((u8 *)tss)[0x68] = 0xff;
    ((u8 *)tss)[0x68 + 0x80 / 8] = 0xfe;
    ((u8 *)tss)[0x69 + 0x80 / 8] = 0xff;
    set_descriptor(FREE, (u32)tss, 0x68 + 0x80 / 8 + 1, 0x89);
    asm volatile("ltr %%ax" : : "a"(FREE));
    TRY("in by the bit map", USER("in $0x80, %%al"));
    TRY("in of a word", USER("in $0x80, %%ax"));
    TRY("in beyond it", USER("in $0x90, %%al"));
    set_descriptor(FREE + 8, 0, 0xfffff, 0xc09b);
    TRY("segments of level 0 are dropped",
        "mov $0x10, %%eax; mov %%eax, %%fs; mov $0x23, %%eax; mov %%eax, %%gs;"
        USER("mov %%gs, %%eax; shl $16, %%eax; mov %%fs, %%ax; mov %%eax, result"));
    show("gs, fs", result, 8);
    TRY("ltr of a busy tss", "ltr %%ax", "a"(FREE));
    TRY("ltr of data", "ltr %%ax", "a"(KERNEL_DATA));
}

static void local_table(void) {
    print("ldt\n");
    set_descriptor(FREE, (u32)ldt, sizeof ldt - 1, 0x82);
    ldt[1] = gdt[KERNEL_DATA / 8];
    TRY("lldt", "lldt %%ax", "a"(FREE));
    TRY("load", LOAD("fs") "; mov %%fs:0x100000, %%eax", "i"(0x0c));
    TRY("beyond", LOAD("fs"), "i"(0x24));
    TRY("lldt of data", "lldt %%ax", "a"(KERNEL_DATA));
    TRY("lldt of an ldt's selector", "lldt %%ax", "a"(0x0c));
    TRY("lldt of null", "lldt %%ax", "a"(0));
    TRY("load without", LOAD("fs"), "i"(0x0c));
}

static u32 query(const char *name, int instruction, u32 selector) {
    u32 value = 0, zero = 0;
    if (instruction == 'a') asm volatile("lar %2, %0; setz %b1" : "+r"(value), "=q"(zero) : "r"(selector));
    if (instruction == 'l') asm volatile("lsl %2, %0; setz %b1" : "+r"(value), "=q"(zero) : "r"(selector));
    if (instruction == 'r') asm volatile("verr %w1; setz %b0" : "=q"(zero) : "r"(selector));
    if (instruction == 'w') asm volatile("verw %w1; setz %b0" : "=q"(zero) : "r"(selector));
    print(name);
    print(" ");
    hex(selector, 4);
    print(": ");
    hex(zero & 1, 1);
    if ((zero & 1) != 0 && (instruction == 'a' || instruction == 'l')) {
        print(" ");
        /* Silicon leaves bits 19 to 16 of the limit in. */
        hex(instruction == 'a' ? value & 0xfff0ffff : value, 8);
    }
    print("\n");
    return value;
}

static void queries(void) {
    static const u16 selectors[] = {0, KERNEL_CODE, KERNEL_DATA, USER_DATA, KERNEL_DATA | 3, TSS,
                                    FREE, FREE + 8, FREE + 16, 0x100};
    print("queries\n");
    set_descriptor(FREE, 0x1234, 0x5678, 0x0091);
    set_descriptor(FREE + 8, 0, 0x12, 0xc099);
    set_gate(FREE + 16, 0x1234, KERNEL_CODE, 0x8c, 3);
    for (unsigned n = 0; n < sizeof selectors / sizeof *selectors; n++) {
        query("lar", 'a', selectors[n]);
        query("lsl", 'l', selectors[n]);
        query("verr", 'r', selectors[n]);
        query("verw", 'w', selectors[n]);
    }
    TRY("arpl", "mov $0x11, %%eax; mov $3, %%ecx; arpl %%cx, %%ax; mov %%eax, result");
    show("selector", result, 4);
    TRY("str, sldt", "str %%eax; sldt %%ecx; shl $16, %%eax; or %%ecx, %%eax; mov %%eax, result");
    show("str, sldt", result, 8);
    TRY("smsw", "smsw %%ax; and $0xf, %%eax; mov %%eax, result");
    show("protection", result & 1, 1);
}

void guest_main(void) {
    data_segments();
    stack_segments();
    far_transfers();
    gates();
    levels();
    local_table();
    queries();
}
