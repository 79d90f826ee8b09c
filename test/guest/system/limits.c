/*
 * Limits and rights of segments, which QEMU's translator does not check: data, stacks, code, and
 * what becomes of registers that hold null.
 */
#include "guest.h"

#define SEGMENT STRING(FREE)
#define IN(code) "mov $" SEGMENT ", %%ecx; mov %%ecx, %%fs; " code
#define IN_USER_STACK(pointer, code) \
    USER("mov $0x3b, %%ecx; mov %%esp, %%ebx; mov %%ecx, %%ss; mov $" pointer ", %%esp; " code)

static u8 area[0x3000] __attribute__((aligned(4096)));

static void accesses(const char *name) {
    print(name);
    print("\n");
    TRY("first byte", IN("movb %%fs:0, %%al"));
    TRY("last byte", IN("movb %%fs:0xfff, %%al"));
    TRY("last doubleword", IN("movl %%fs:0xffc, %%eax"));
    TRY("across the limit", IN("movl %%fs:0xffd, %%eax"));
    TRY("beyond", IN("movb %%fs:0x1000, %%al"));
    TRY("far beyond", IN("movb %%fs:0x80000000, %%al"));
    TRY("write", IN("movb $1, %%fs:0"));
    TRY("write across", IN("movl $1, %%fs:0xffe"));
    TRY("change", IN("addb $1, %%fs:0xfff"));
    TRY("change beyond", IN("addb $1, %%fs:0x1000"));
    TRY("compare beyond", IN("cmpb $1, %%fs:0x1000"));
    TRY("only named", IN(".byte 0x64; lea 0x1000, %%eax"));
}

static void strings(void) {
    print("strings\n");
    set_descriptor(FREE, (u32)area, 0xff, 0x4093);
    TRY("stosl across",
        "mov $" SEGMENT ", %%eax; mov %%eax, %%es; mov $0xf0, %%edi; mov $8, %%ecx; rep stosl;",
        "i"(0));
    result = 0;
    ATTEMPT("mov $" SEGMENT ", %%eax; mov %%eax, %%es; mov $0xf1, %%edi; mov $8, %%ecx;"
            "push %%es; pop %%fs; rep stosl");
    TRY("movsb from beyond", IN("mov $0x100, %%esi; mov $area, %%edi; fs movsb"));
    TRY("none at all", IN("mov $0x100, %%esi; xor %%ecx, %%ecx; rep fs lodsb"));
    TRY("xlat", IN("mov $0xff, %%ebx; mov $1, %%eax; fs xlat"));
}

static void user_stacks(void) {
    print("stacks\n");
    set_descriptor(FREE, (u32)area, 0xfff, 0x40f3);
    TRY("push", IN_USER_STACK("0x1000", "push %%eax"));
    TRY("push at zero", IN_USER_STACK("0", "push %%eax"));
    TRY("push across", IN_USER_STACK("0x1001", "push %%eax"));
    TRY("pop", IN_USER_STACK("0xffc", "pop %%eax"));
    TRY("pop across", IN_USER_STACK("0xffd", "pop %%eax"));
    TRY("call", IN_USER_STACK("0", "call 1f; 1:"));
    TRY("ret", IN_USER_STACK("0x1000", "ret"));
    TRY("pusha", IN_USER_STACK("0x1f", "pusha"));
    TRY("enter", IN_USER_STACK("4", "enter $0, $0"));
    TRY("enter with a frame too large", IN_USER_STACK("0x100", "enter $0x100, $0"));
    TRY("leave", IN_USER_STACK("0", "mov $0x1000, %%ebp; leave"));
    TRY("by ebp", IN_USER_STACK("0", "mov $0x1000, %%ebp; mov (%%ebp), %%al"));
    TRY("by esp", IN_USER_STACK("0xffd", "mov (%%esp), %%eax"));
    set_descriptor(FREE, 0, 0x0ffff, 0xc0f7);
    TRY("downwards, far below", IN_USER_STACK("user_stack", "push %%eax"));
    set_descriptor(FREE, (u32)area, 0xfff, 0x00f3);
    TRY("16 bits wide", IN_USER_STACK("0x12340008", "push %%eax; mov %%esp, result"));
    show("esp", result, 8);
}

static void code(void) {
    extern char code_end[];
    print("code\n");
    asm volatile("jmp 1f; .balign 16; code_start: nop; nop; jmp *%%ebx; code_end: nop; 1:"
                 : : : "memory");
    set_descriptor(FREE, 0, (u32)code_end - 1, 0x409b);
    TRY("runs into it", "ljmp $" SEGMENT ", $code_end - 1");
    TRY("jumps beyond", "mov $code_end, %%ebx; ljmp $" SEGMENT ", $code_start");
    TRY("jumps back", "mov $1f, %%ebx; ljmp $" SEGMENT ", $code_start; 1:");
}

static void rights(void) {
    print("rights\n");
    TRY("null", "xor %%eax, %%eax; mov %%eax, %%fs; mov %%fs:0, %%eax");
    TRY("null written", "xor %%eax, %%eax; mov %%eax, %%fs; mov %%eax, %%fs:0");
    set_descriptor(FREE, (u32)area, 0xfff, 0x4091);
    TRY("read-only", IN("mov %%fs:0, %%eax"));
    TRY("read-only, written", IN("mov %%eax, %%fs:0"));
    TRY("read-only, exchanged", IN("xchg %%eax, %%fs:0"));
    set_descriptor(FREE, (u32)area, 0xfff, 0x409b);
    TRY("code", IN("mov %%fs:0, %%eax"));
    TRY("code, written", IN("mov %%eax, %%fs:0"));
    TRY("cs, written", "mov %%eax, %%cs:result");
    set_descriptor(FREE, 0, 0xfffff, 0xc099);
    TRY("execute-only", "ljmp $" SEGMENT ", $1f; 1: mov %%cs:result, %%eax");
}

void guest_main(void) {
    set_descriptor(FREE, (u32)area, 0xfff, 0x4093);
    accesses("upwards");
    set_descriptor(FREE, (u32)area, 0, 0xc093);
    accesses("upwards, in pages");
    set_descriptor(FREE, (u32)area - 0x1000, 0xffe, 0x4097);
    accesses("downwards");
    set_descriptor(FREE, (u32)area, 0xffe, 0x0097);
    accesses("downwards, to 64 KiB");
    strings();
    user_stacks();
    code();
    rights();
    TRY("ltr of null", "ltr %%ax", "a"(0));
}
