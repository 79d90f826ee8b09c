#include "guest.h"

#define COM1       0x3f8
#define LINE_STATUS       5
#define TRANSMITTER_EMPTY 0x20
#define DEBUG_EXIT 0x501
/* QEMU makes the exit status 83 of it. */
#define SUCCESS    41
#define PAGE_FAULT 14
/* Instructions of an attempt are shorter, but for those that jump away. */
#define ATTEMPT_SIZE 0x40

static const u32 error_codes = 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17;

struct fault fault;
volatile unsigned long result;
unsigned long saved_stack, attempted, resume;
void (*hooks[256])(struct frame *);
extern u64 idt[];

static void put(char character) {
    while ((in8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY) == 0) continue;
    out8(COM1, (u8)character);
}

void print(const char *text) {
    while (*text != 0) put(*text++);
}

void hex(u64 value, int digits) {
    for (int shift = 4 * (digits - 1); shift >= 0; shift -= 4)
        put("0123456789abcdef"[(value >> shift) & 15]);
}

void show(const char *name, u64 value, int digits) {
    print(name);
    print(": ");
    hex(value, digits);
    print("\n");
}

void report(const char *name) {
    print(name);
    if (fault.vector < 0) {
        print(": ok\n");
        return;
    }
    print(": #");
    hex((u64)fault.vector, 2);
    if (fault.vector < 32 && (error_codes >> fault.vector & 1) != 0) {
        print(" (");
        hex(fault.error, 4);
        print(")");
    }
    const int inside = fault.ip - attempted < ATTEMPT_SIZE;
    print(inside ? " +" : " at ");
    hex(inside ? fault.ip - attempted : fault.ip, inside ? 2 : 8);
    if (fault.vector == PAGE_FAULT) {
        print(" cr2 ");
        hex(fault.cr2, 8);
    }
    print("\n");
}

/* Called by start.S. Returns if there is a hook for the vector. */
void interrupted(struct frame *frame) {
    if (hooks[frame->vector] != 0) {
        hooks[frame->vector](frame);
        return;
    }
    fault.vector = (int)frame->vector;
    fault.error = (u32)frame->error;
    fault.ip = frame->ip;
    asm volatile("mov %%cr2, %0" : "=r"(fault.cr2));
    asm volatile("mov %0, " SP "; push $2; popf; jmp *%1"
                 : : "r"(saved_stack), "r"(resume) : "memory");
}

void set_descriptor(int selector, u32 base, u32 limit, u32 attributes) {
    u32 low = base << 16 | (limit & 0xffff);
    u32 high = (base & 0xff000000) | (attributes << 8) | (limit & 0xf0000) | (base >> 16 & 0xff);
    gdt[selector / 8] = (u64)high << 32 | low;
}

void set_gate_type(int vector, u8 type) {
    ((u8 *)idt)[vector * (sizeof(long) == 8 ? 16 : 8) + 5] = type;
}

void end(void) {
    asm volatile("outw %0, %1" : : "a"((u16)SUCCESS), "Nd"((u16)DEBUG_EXIT));
    for (;;) asm volatile("cli; hlt");
}
