/* Single steps and debug registers: where #DB comes, and what DR6 says. */
#include "guest.h"

#define FLAG_TF 0x100
#define FLAG_RF 0x10000
#define DB 1
#define MOST 24

static struct { unsigned long ip, dr6; } seen[MOST];
static int count;
/* Named by assembly. */
unsigned long stop_at;
volatile u32 watched;
u8 source[8], target[8];

#define MOV_TO_DR(number, value) asm volatile("mov %0, %%dr" #number : : "r"(value))

static void on_debug(struct frame *frame) {
    if (count < MOST) {
        seen[count].ip = frame->ip;
        asm volatile("mov %%dr6, %0" : "=r"(seen[count].dr6));
        count++;
    }
    MOV_TO_DR(6, 0xffff0ff0);
    if (frame->ip == stop_at) frame->flags &= ~(unsigned long)FLAG_TF;
    else if ((seen[count - 1].dr6 & 0xf) != 0) frame->flags |= FLAG_RF;
}

static void start(void) { count = 0; }

static void traps(const char *name, unsigned long origin) {
    print(name);
    print(":");
    for (int n = 0; n < count; n++) {
        print(" +");
        hex(seen[n].ip - origin, 2);
        print("/");
        hex(seen[n].dr6 & 0xe00f, 4);
    }
    print("\n");
}

/* Steps through code up to its end. */
#define STEPS(name, code)                                                                   \
    do {                                                                                    \
        unsigned long origin;                                                               \
        start();                                                                            \
        asm volatile("movl $8882f, stop_at; movl $8881f, %0; pushal; pushl %%ds; pushf;"    \
                     "orl $0x100, (%%esp); popf;"                                           \
                     "8881: " code "; nop; 8882: popl %%ds; popal"                          \
                     : "=&r"(origin) : : "memory", "cc");                                   \
        traps(name, origin);                                                                \
    } while (0)

#define RUN(name, code)                                                                     \
    do {                                                                                    \
        unsigned long origin;                                                               \
        start();                                                                            \
        asm volatile("movl $8881f, %0; pushal; 8881: " code "; popal"                       \
                     : "=&r"(origin) : : "memory", "cc");                                   \
        traps(name, origin);                                                                \
    } while (0)

static void steps(void) {
    print("single steps\n");
    STEPS("moves", "mov $1, %%eax; inc %%eax; nop");
    STEPS("branches", "jmp 1f; ud2; 1: xor %%eax, %%eax; jz 2f; ud2; 2: jnz 3f; 3:");
    STEPS("call and ret", "call 1f; jmp 2f; 1: ret; 2:");
    STEPS("loop", "mov $3, %%ecx; 1: loop 1b");
    STEPS("string", "mov $source, %%esi; mov $target, %%edi; mov $3, %%ecx; rep movsb");
    STEPS("string without elements", "xor %%ecx, %%ecx; rep stosb");
    STEPS("mov ss", "mov %%ss, %%eax; mov %%eax, %%ss; nop; nop");
    STEPS("pop ss", "push %%ss; pop %%ss; nop; nop");
    STEPS("mov ds", "mov %%ds, %%eax; mov %%eax, %%ds; nop");
    STEPS("sti", "cli; nop");
    STEPS("pushf shows tf", "pushf; pop result");
    show("tf", result >> 8 & 1, 1);
    STEPS("popf clears it", "pushf; andl $~0x100, (%%esp); popf; nop; nop; nop");
    STEPS("int", "int $0x60; nop");
    STEPS("cpuid", "xor %%eax, %%eax; cpuid");
    STEPS("out", "mov $0x80, %%edx; out %%al, %%dx");
}

static void on_software(struct frame *frame) { (void)frame; }

#define CR4_DE 8

/* Accesses to ports, which debug extensions watch. */
static void ports(void) {
    print("ports\n");
    asm volatile("mov %%cr4, %%eax; or %0, %%eax; mov %%eax, %%cr4" : : "i"(CR4_DE) : "eax");
    MOV_TO_DR(3, 0x80);
    MOV_TO_DR(7, 0x60000440);
    RUN("out", "out %%al, $0x80; nop");
    RUN("in", "in $0x80, %%al; nop");
    RUN("across", "mov $0x7e, %%edx; in %%dx, %%eax; nop");
    RUN("beside", "out %%al, $0x82; nop");
    RUN("by a string", "mov $0x80, %%edx; mov $source, %%esi; outsb; nop");
    MOV_TO_DR(7, 0x400);
    asm volatile("mov %%cr4, %%eax; and %0, %%eax; mov %%eax, %%cr4" : : "i"(~CR4_DE) : "eax");
}

static void breakpoints(void) {
    print("breakpoints\n");
    MOV_TO_DR(0, &watched);
    MOV_TO_DR(7, 0x000d0401);
    RUN("written", "movl $1, watched; nop");
    RUN("read", "movl watched, %%eax; nop");
    RUN("changed", "addl $1, watched; nop");
    RUN("a part of it", "movb $1, watched + 3; nop");
    RUN("beside it", "movb $1, watched + 4; movb $1, watched - 1; nop");
    RUN("across its start", "movl $1, watched - 2; nop");
    RUN("by a string", "mov $watched, %%edi; stosb; nop");
    RUN("by a push", "mov %%esp, %%ebx; mov $watched + 4, %%esp; push %%eax; mov %%ebx, %%esp; nop");
    watched = KERNEL_DATA;
    MOV_TO_DR(7, 0x000f0401);
    RUN("read, accesses count", "movl watched, %%eax; nop");
    RUN("not accessed", "lea watched, %%eax; nop");
    RUN("read into ss", "movw watched, %%ss; nop; nop");
    MOV_TO_DR(7, 0x000c0402);
    RUN("of the other", "movl $1, watched; nop");
    MOV_TO_DR(7, 0x00000401);
    RUN("executed", "movl $1f, %%eax; mov %%eax, %%dr0; nop; 1: nop; nop");
    RUN("branched to", "movl $1f, %%eax; mov %%eax, %%dr0; jmp 1f; nop; 1: nop");
    RUN("after mov ss", "movl $1f, %%eax; mov %%eax, %%dr0; mov %%ss, %%eax; mov %%eax, %%ss; 1: nop; nop");
    RUN("in a loop", "movl $1f, %%eax; mov %%eax, %%dr0; mov $3, %%ecx; 1: nop; loop 1b");
    RUN("at a string", "movl $1f, %%eax; mov %%eax, %%dr0; mov $2, %%ecx; mov $source, %%esi;"
        "1: rep lodsb; nop");
    MOV_TO_DR(7, 0x400);
    RUN("off", "movl $1f, %%eax; mov %%eax, %%dr0; 1: nop");
    hooks[DB] = 0;
    TRY("general detect", "mov $0x2400, %%eax; mov %%eax, %%dr7; mov %%dr0, %%eax");
    asm volatile("mov %%dr6, %0" : "=r"(result));
    show("dr6", result & 0xe00f, 4);
    asm volatile("mov %%dr7, %0" : "=r"(result));
    show("dr7", result, 8);
    TRY("icebp", ".byte 0xf1");
    TRY("mov from dr, mod 0", "mov %%dr0, %%eax; .byte 0x0f, 0x21, 0x01; sub %%eax, %%ecx;"
        "mov %%ecx, result");
    show("difference", result, 8);
}

void guest_main(void) {
    hooks[DB] = on_debug;
    hooks[0x60] = on_software;
    MOV_TO_DR(6, 0xffff0ff0);
    steps();
    ports();
    breakpoints();
}
