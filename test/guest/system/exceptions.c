/* Exceptions of every kind, and what becomes of those that cannot be delivered. */
#include "guest.h"

#define CR0_TS 8
#define CR0_EM 4
#define CR0_NE 0x20

static u8 fpu[512] __attribute__((aligned(16)));
static const int bounds[2] = {1, 10};

static u32 read_cr0(void) {
    u32 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static void write_cr0(u32 value) { asm volatile("mov %0, %%cr0" : : "r"(value)); }

static void arithmetic(void) {
    print("arithmetic\n");
    TRY("div by zero", "xor %%ebx, %%ebx; mov $1, %%eax; cltd; div %%ebx");
    TRY("div, quotient too large", "mov $2, %%edx; mov $1, %%ebx; div %%ebx");
    TRY("idiv of the least by -1", "mov $0x80000000, %%eax; cltd; mov $-1, %%ebx; idiv %%ebx");
    TRY("aam 0", ".byte 0xd4, 0");
    TRY("into, clear", "xor %%eax, %%eax; into");
    TRY("into", "mov $0x7fffffff, %%eax; inc %%eax; into");
    TRY("bound, inside", "mov $10, %%eax; bound %%eax, %0", "m"(bounds));
    TRY("bound, below", "mov $0, %%eax; bound %%eax, %0", "m"(bounds));
    TRY("bound, above", "mov $11, %%eax; bound %%eax, %0", "m"(bounds));
    TRY("int3", "int3");
    TRY("int $3", "int $3");
    TRY("int $0x55", "int $0x55");
}

static void opcodes(void) {
    print("opcodes\n");
    TRY("ud2", "ud2");
    TRY("lock on a register", ".byte 0xf0, 0x01, 0xc0");
    TRY("lock on mov", ".byte 0xf0, 0x89, 0x03");
    TRY("lock on cmp", ".byte 0xf0, 0x39, 0x03");
    TRY("lea of a register", ".byte 0x8d, 0xc0");
    TRY("les of a register", ".byte 0xc4, 0xc0");
    TRY("15 bytes", ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90");
    TRY("16 bytes", ".byte 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x90");
    TRY("cr5", ".byte 0x0f, 0x20, 0xe8");
}

static void units(void) {
    u32 cr0 = read_cr0(), cr4;
    asm volatile("mov %%cr4, %0" : "=r"(cr4));
    print("units\n");
    write_cr0((cr0 | CR0_NE) & ~(u32)(CR0_TS | CR0_EM));
    asm volatile("mov %0, %%cr4" : : "r"(cr4 & ~0x600));
    TRY("sse without osfxsr", "xorps %%xmm0, %%xmm0");
    asm volatile("mov %0, %%cr4" : : "r"(cr4 | 0x600));
    TRY("sse", "xorps %%xmm0, %%xmm0");
    TRY("x87", "fninit; fld1");
    write_cr0(read_cr0() | CR0_TS);
    TRY("x87 under ts", "fld1");
    TRY("sse under ts", "xorps %%xmm0, %%xmm0");
    TRY("fwait under ts, not mp", "mov %%cr0, %%eax; and $~2, %%eax; mov %%eax, %%cr0; fwait");
    TRY("fwait under ts and mp", "mov %%cr0, %%eax; or $2, %%eax; mov %%eax, %%cr0; fwait");
    TRY("clts", "clts; fld1");
    write_cr0(read_cr0() | CR0_EM);
    TRY("x87 under em", "fld1");
    TRY("sse under em", "xorps %%xmm0, %%xmm0");
    write_cr0(read_cr0() & ~(u32)CR0_EM);
    TRY("x87 error", "fninit; movl $0x37b, (%0); fldcw (%0); fld1; fldz; fdivrp; fwait", "r"(fpu));
    TRY("x87 error at the next", "fninit; movl $0x37b, (%0); fldcw (%0); fld1; fldz; fdivrp; fld1",
        "r"(fpu));
    TRY("but not at fnstsw", "fnstsw %%ax; fnclex");
    TRY("sse exception",
        "movl $0x1d80, (%0); ldmxcsr (%0); movl $0x3f800000, (%0); movss (%0), %%xmm0;"
        "xorps %%xmm1, %%xmm1; divss %%xmm1, %%xmm0", "r"(fpu));
    TRY("mxcsr, reserved", "movl $0x10000, (%0); ldmxcsr (%0)", "r"(fpu));
    TRY("movaps, misaligned", "movaps 4(%0), %%xmm0", "r"(fpu));
    TRY("movups", "movups 4(%0), %%xmm0", "r"(fpu));
    TRY("fxsave, misaligned", "fxsave 8(%0)", "r"(fpu));
}

static void gates(void) {
    extern u64 idt[];
    u64 before;
    print("gates\n");
    set_gate_type(0x40, 0x0e);
    TRY("not present", "int $0x40");
    set_gate_type(0x40, 0x89);
    TRY("of no kind of gate", "int $0x40");
    set_gate_type(0x40, 0x8e);
    before = idt[0x40];
    ((u16 *)&idt[0x40])[1] = 0;
    TRY("null selector", "int $0x40");
    ((u16 *)&idt[0x40])[1] = KERNEL_DATA;
    TRY("data segment", "int $0x40");
    ((u16 *)&idt[0x40])[1] = 0x100;
    TRY("beyond the gdt", "int $0x40");
    set_descriptor(FREE, 0, 0xfffff, 0xc01b);
    ((u16 *)&idt[0x40])[1] = FREE;
    TRY("code not present", "int $0x40");
    idt[0x40] = before;
    set_gate_type(6, 0x0e);
    TRY("#UD without its gate", "ud2");
    set_gate_type(0, 0x0e);
    TRY("#DE without its gate", "xor %%ebx, %%ebx; div %%ebx");
    set_gate_type(0, 0x8e);
    set_gate_type(13, 0x0e);
    TRY("#GP without its gate", "mov $0x100, %%eax; mov %%eax, %%fs");
    set_gate_type(11, 0x0e);
    TRY("#UD without its gate or #NP's", "ud2");
    set_gate_type(6, 0x8e);
    set_gate_type(11, 0x8e);
    set_gate_type(13, 0x8e);
    TRY("lidt with a short limit",
        "sidt (%0); movl (%0), %%eax; mov %%eax, 8(%0); mov 4(%0), %%eax; mov %%eax, 12(%0);"
        "movw $0x1ff, 8(%0); lidt 8(%0); int $0x40", "r"(fpu));
    TRY("and back", "lidt (%0)", "r"(fpu));
}

void guest_main(void) {
    arithmetic();
    opcodes();
    units();
    gates();
    print("triple fault\n");
    set_gate_type(8, 0);
    set_gate_type(13, 0);
    set_gate_type(6, 0);
    ATTEMPT("ud2");
    print("survived\n");
}
