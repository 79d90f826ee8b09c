/* Interrupts: shadows, HLT, priorities, PIC and PIT, local APIC, strings that are interrupted. */
#include "guest.h"

#define PIC1 0x20
#define PIC2 0xa0
#define PIT_CHANNEL 0x40
#define PIT_MODE    0x43
#define TIMER       0x20
#define APIC        ((volatile u32 *)0xfee00000)
#define APIC_EOI      (0x0b0 / 4)
#define APIC_SPURIOUS (0x0f0 / 4)
#define APIC_COMMAND  (0x300 / 4)
#define APIC_TIMER    (0x320 / 4)
#define APIC_COUNT    (0x380 / 4)
#define APIC_DIVIDE   (0x3e0 / 4)
#define APIC_VECTOR   0x50
#define SELF_NMI      0x44400
#define FLAG_IF       0x200

static volatile int ticks, nmis, apic_ticks;
static volatile unsigned long interrupted_at, interrupted_count;
static u8 first[0x100000], second[0x100000];

static void on_timer(struct frame *frame) {
    ticks++;
    interrupted_at = frame->ip;
    interrupted_count = frame->registers[6];
    out8(PIC1, 0x20);
}

static void on_apic_timer(struct frame *frame) {
    (void)frame;
    apic_ticks++;
    interrupted_at = frame->ip;
    APIC[APIC_EOI] = 0;
}

static void on_nmi(struct frame *frame) {
    nmis++;
    interrupted_at = frame->ip;
    if (nmis == 1) {
        /* A second one waits for this handler's IRET. */
        APIC[APIC_COMMAND] = SELF_NMI;
        show("in the handler", (u64)nmis, 1);
    }
}

static void set_up_pic(void) {
    static const u8 words[][2] = {{PIC1, 0x11}, {PIC2, 0x11}, {PIC1 + 1, 0x20}, {PIC2 + 1, 0x28},
                                  {PIC1 + 1, 4}, {PIC2 + 1, 2}, {PIC1 + 1, 1}, {PIC2 + 1, 1},
                                  {PIC1 + 1, 0xfe}, {PIC2 + 1, 0xff}};
    for (unsigned n = 0; n < sizeof words / sizeof *words; n++) out8(words[n][0], words[n][1]);
}

/* One tick after so many 1193182ths of a second. */
static void one_shot(u16 count) {
    out8(PIT_MODE, 0x30);
    out8(PIT_CHANNEL, (u8)count);
    out8(PIT_CHANNEL, (u8)(count >> 8));
}

/* Until the PIC has the request: its IRR, by OCW3. */
static void wait_for_request(void) {
    do {
        out8(PIC1, 0x0a);
    } while ((in8(PIC1) & 1) == 0);
}

static void shadows(void) {
    unsigned long after, before;
    print("shadows\n");
    one_shot(100);
    wait_for_request();
    asm volatile("sti; nop; 1: nop; cli; mov $1b, %0" : "=r"(after) : : "memory");
    show("an instruction after sti", interrupted_at == after, 1);
    one_shot(100);
    wait_for_request();
    ticks = 0;
    asm volatile("sti; cli" : : : "memory");
    show("none between sti and cli", (u64)ticks, 1);
    asm volatile("sti; sti; 1: nop; cli; mov $1b, %0" : "=r"(after) : : "memory");
    show("a second sti has no shadow", interrupted_at == after, 1);
    one_shot(100);
    wait_for_request();
    asm volatile("pushf; orl $0x200, (%%esp); popf; 1: nop; cli; mov $1b, %0" : "=r"(after) : : "memory");
    show("popf has none", interrupted_at == after, 1);
    one_shot(100);
    wait_for_request();
    asm volatile("mov %%ss, %%eax; sti; mov %%eax, %%ss; nop; 1: nop; cli; mov $1b, %0; lea -1(%0), %1"
                 : "=r"(after), "=r"(before) : : "eax", "memory");
    show("an instruction after mov ss", interrupted_at == after || interrupted_at == before, 1);
}

static void halting(void) {
    unsigned long after;
    print("hlt\n");
    ticks = 0;
    one_shot(1000);
    asm volatile("sti; hlt; 1: cli; mov $1b, %0" : "=r"(after) : : "memory");
    show("ticks", (u64)ticks, 1);
    show("wakes behind it", interrupted_at == after, 1);
    one_shot(100);
    wait_for_request();
    ticks = 0;
    asm volatile("sti; hlt; cli" : : : "memory");
    show("pending before it", (u64)ticks, 1);
}

static void strings(void) {
    extern char compare[];
    unsigned long left = 1;
    print("strings\n");
    /* Unless the host is late with the timer the first attempt does. */
    for (int attempt = 0; attempt < 100 && interrupted_at != (unsigned long)compare; attempt++) {
        one_shot(1000);
        asm volatile("cld; sti; nop; compare: repe cmpsb; cli"
                     : "=c"(left) : "S"(first), "D"(second), "c"(sizeof first) : "memory", "cc");
    }
    show("interrupted inside", interrupted_at == (unsigned long)compare, 1);
    show("with elements left", interrupted_count > 0 && interrupted_count < sizeof first, 1);
    show("and finished", left, 1);
}

static void local_apic(void) {
    print("local apic\n");
    wrmsr(0x1b, (rdmsr(0x1b) & ~0xfffull) | 0x900);
    APIC[APIC_SPURIOUS] = 0x1ff;
    APIC[APIC_DIVIDE] = 0xb;
    APIC[APIC_TIMER] = APIC_VECTOR;
    APIC[APIC_COUNT] = 100000;
    asm volatile("sti; hlt; cli" : : : "memory");
    show("one shot", (u64)apic_ticks, 1);
    APIC[APIC_TIMER] = 0x20000 | APIC_VECTOR;
    APIC[APIC_COUNT] = 100000;
    while (apic_ticks < 4) asm volatile("sti; hlt; cli" : : : "memory");
    APIC[APIC_TIMER] = 0x10000 | APIC_VECTOR;
    show("periodic", apic_ticks >= 4, 1);
}

static void nmi(void) {
    print("nmi\n");
    APIC[APIC_COMMAND] = SELF_NMI;
    while (nmis < 2) asm volatile("pause");
    show("both", (u64)nmis, 1);
    nmis = 0;
    hooks[2] = 0;
    ATTEMPT("movl $0x44400, 0xfee00300; 1: hlt; jmp 1b");
    show("wakes hlt, vector", (u64)fault.vector, 2);
}

void guest_main(void) {
    hooks[TIMER] = on_timer;
    hooks[APIC_VECTOR] = on_apic_timer;
    hooks[2] = on_nmi;
    set_up_pic();
    shadows();
    halting();
    strings();
    local_apic();
    nmi();
}
