/*
 * A guest whose privileged code uses what the instruction emulators of some hosts' KVM do not know,
 * with a timer's interrupts all the while. No line depends on how fast the machine is.
 */
#include <stdint.h>

#define COM1 0x3f8
#define TIMER_VECTOR 0x20
#define SOFTWARE_VECTOR 0x40
#define FS_BASE_MSR 0xc0000100
#define PIT_HZ 1193182u
#define CODE_SELECTOR 8
#define DATA_SELECTOR 16
#define WINDOW 0x40000000ul /* a page directory's entry of its own */
#define LARGE_PAGE 0x200000ul
#define ROUNDS 2000

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static void print(const char *text)
{
    for (; *text != 0; text++)
        out8(COM1, (uint8_t)*text);
}

static void show(const char *what, uint64_t value)
{
    print(what);
    print(" ");
    for (int shift = 60; shift >= 0; shift -= 4)
        out8(COM1, (uint8_t)"0123456789abcdef"[value >> shift & 15]);
    print("\n");
}

static void finish(void)
{
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)41), "Nd"((uint16_t)0x501));
    for (;;)
        __asm__ volatile("cli; hlt");
}

struct frame {
    uint64_t ip, cs, flags, sp, ss;
};

struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
    uint32_t offset_high, reserved;
};

static struct gate idt[256];
static volatile uint32_t ticks;
static volatile uint64_t calls, breakpoints, faults, fault_address, vector_seen, flags_seen, steps;

static void set_gate(int vector, void *handler)
{
    uintptr_t address = (uintptr_t)handler;

    idt[vector] = (struct gate){
        .offset_low = (uint16_t)address, .selector = CODE_SELECTOR, .type = 0x8e,
        .offset_middle = (uint16_t)(address >> 16), .offset_high = (uint32_t)(address >> 32),
    };
}

static __attribute__((interrupt)) void on_tick(struct frame *frame)
{
    (void)frame;
    ticks++;
    out8(0x20, 0x20);
}

static __attribute__((interrupt)) void on_call(struct frame *frame)
{
    (void)frame;
    calls++;
}

static __attribute__((interrupt)) void on_breakpoint(struct frame *frame)
{
    (void)frame;
    breakpoints++;
}

/* The instruction that faults is four bytes long. */
static __attribute__((interrupt)) void on_simd(struct frame *frame)
{
    vector_seen = 19;
    frame->ip += 4;
}

/* Bytes that are no instruction: two of them. */
static __attribute__((interrupt)) void on_undefined(struct frame *frame)
{
    vector_seen = 6;
    frame->ip += 2;
}

/* RDMSR. */
static __attribute__((interrupt)) void on_protection(struct frame *frame, uint64_t code)
{
    (void)code;
    flags_seen = frame->flags;
    vector_seen = 13;
    frame->ip += 2;
}

static __attribute__((interrupt)) void on_step(struct frame *frame)
{
    (void)frame;
    steps++;
}

/* The instruction that faults is four bytes long, too. */
static __attribute__((interrupt)) void on_page_fault(struct frame *frame, uint64_t code)
{
    uint64_t address;

    (void)code;
    __asm__ volatile("movq %%cr2, %0" : "=r"(address));
    fault_address = address;
    faults++;
    frame->ip += 4;
}

static void set_up(void)
{
    struct { uint16_t limit; uint64_t base; } __attribute__((packed)) pointer = {
        sizeof idt - 1, (uint64_t)(uintptr_t)idt,
    };

    set_gate(3, (void *)on_breakpoint);
    set_gate(14, (void *)on_page_fault);
    set_gate(19, (void *)on_simd);
    set_gate(TIMER_VECTOR, (void *)on_tick);
    set_gate(SOFTWARE_VECTOR, (void *)on_call);
    __asm__ volatile("lidt %0" : : "m"(pointer));
    /* Both 8259s: vectors, the cascade, and everything masked but the timer. */
    out8(0x20, 0x11); out8(0x21, TIMER_VECTOR); out8(0x21, 4); out8(0x21, 1); out8(0x21, 0xfe);
    out8(0xa0, 0x11); out8(0xa1, 0x28); out8(0xa1, 2); out8(0xa1, 1); out8(0xa1, 0xff);
    out8(0x43, 0x34); out8(0x40, (uint8_t)(PIT_HZ / 1000)); out8(0x40, (uint8_t)(PIT_HZ / 1000 >> 8));
    __asm__ volatile("movq %%cr0, %%rax; andq $~0xc, %%rax; orq $0x22, %%rax; movq %%rax, %%cr0;"
                     "movq %%cr4, %%rax; orq $0x600, %%rax; movq %%rax, %%cr4; fninit; sti"
                     : : : "rax");
}

static uint64_t popcnt(uint64_t value)
{
    uint64_t count;

    __asm__ volatile("popcntq %1, %0" : "=r"(count) : "r"(value) : "cc");
    return count;
}

static void integers(void)
{
    uint64_t sum = 0, low = 1, high = 2, attributes, value = 0;
    uint64_t pair[2] __attribute__((aligned(16))) = {1, 2};
    uint8_t same, readable;

    for (uint64_t i = 0; i < ROUNDS; i++)
        sum += popcnt(i * 0x9e3779b97f4a7c15ul);
    show("popcnt", sum);
    __asm__ volatile("crc32q %1, %0" : "+r"(value) : "r"(0x123456789abcdef0ul));
    show("crc32", value);
    __asm__ volatile("lock cmpxchg16b %0; sete %3"
                     : "+m"(pair), "+a"(low), "+d"(high), "=r"(same)
                     : "b"(3ul), "c"(4ul) : "cc", "memory");
    show("cmpxchg16b", (uint64_t)same << 32 | pair[0] << 8 | pair[1]);
    __asm__ volatile("larq %2, %0; verr %w2; setz %1"
                     : "=&r"(attributes), "=&r"(readable) : "r"((uint64_t)DATA_SELECTOR) : "cc");
    /* The bits between are not defined. */
    show("lar", attributes & 0xf0ff00);
    show("verr", readable);
}

static void traps(void)
{
    for (int i = 0; i < ROUNDS / 10; i++)
        __asm__ volatile("int %0; int3" : : "i"(SOFTWARE_VECTOR));
    show("int n", calls);
    show("int3", breakpoints);
}

/* What KVM executes between (movaps, movups) must find the registers that the other one left. */
static void sse(void)
{
    static double operands[2] __attribute__((aligned(16))) = {2.0, 3.0};
    static double results[2] __attribute__((aligned(16)));
    static float kept[4] __attribute__((aligned(16)));
    uint32_t mxcsr = 0, saved = 0x1f80 | 0x6000;
    double quotient;
    int64_t truncated;

    __asm__ volatile("ldmxcsr %1; stmxcsr %0" : "=m"(mxcsr) : "m"(saved));
    show("mxcsr", mxcsr);
    __asm__ volatile("movsd %1, %%xmm0; divsd %2, %%xmm0; movsd %%xmm0, %0"
                     : "=m"(quotient) : "m"(operands[0]), "m"(operands[1]));
    show("2/3 towards zero", *(uint64_t *)(void *)&quotient);
    saved = 0x1f80;
    __asm__ volatile("ldmxcsr %0" : : "m"(saved));
    __asm__ volatile("movaps %1, %%xmm15; sqrtpd %%xmm15, %%xmm15; movaps %%xmm15, %0;"
                     "addpd %%xmm15, %%xmm15; movups %%xmm15, %2"
                     : "=m"(results), "+m"(operands), "=m"(kept) :);
    show("sqrt 2", *(uint64_t *)(void *)&results[0]);
    show("2 sqrt 3", *(uint64_t *)(void *)&kept[2]);
    __asm__ volatile("cvttsd2si %1, %0" : "=r"(truncated) : "m"(results[1]));
    show("sqrt 3 as an integer", (uint64_t)truncated);
    /* With division by zero unmasked: #XM. */
    saved = 0x1d80;
    __asm__ volatile("ldmxcsr %0; movaps %1, %%xmm1; xorps %%xmm2, %%xmm2; divpd %%xmm2, %%xmm1"
                     : : "m"(saved), "m"(operands));
    show("unmasked, vector", vector_seen);
}

/* What neither KVM nor its help knows. */
static void undefined(void)
{
    set_gate(6, on_undefined);
    vector_seen = 0;
    __asm__ volatile(".byte 0x0f, 0x04");
    show("undefined, vector", vector_seen);
}

static void x87(void)
{
    long double third;
    uint64_t parts[2] = {0, 0};
    uint16_t control = 0x027f, read_back = 0;

    __asm__ volatile("fldcw %2; fnstcw %1; fninit; fld1; fldpi; fdivrp; fstpt %0"
                     : "=m"(third), "=m"(read_back) : "m"(control));
    __builtin_memcpy(parts, &third, 10);
    show("x87 control", read_back);
    show("1/pi, significand", parts[0]);
    show("1/pi, exponent", parts[1]);
}

static void segment_base(void)
{
    static uint64_t there[2] = {0, 0xff};
    uint64_t count;

    write_msr(FS_BASE_MSR, (uintptr_t)there);
    __asm__ volatile("popcntq %%fs:8, %0" : "=r"(count) : : "cc");
    show("fs:8", count);
}

/* The same page shows one place, then another, in the middle of instructions that KVM gives up. */
static void mapping(void)
{
    extern uint64_t directories[];
    uint64_t *entry = &directories[WINDOW / LARGE_PAGE];
    volatile uint64_t *window = (volatile uint64_t *)WINDOW;
    uint64_t seen = 0;

    *(volatile uint64_t *)(4 * LARGE_PAGE) = 0x44;
    *(volatile uint64_t *)(5 * LARGE_PAGE) = 0x55;
    for (int i = 0; i < 50; i++) {
        uint64_t place = i % 2 == 0 ? 4 : 5;

        seen += popcnt(1) - 1;
        *entry = place * LARGE_PAGE | 0x83;
        __asm__ volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
        seen += popcnt(1) - 1;
        /* Long enough for KVM to have taken over again. */
        for (volatile int wait = 0; wait < (i < 3 ? 20000 : 300); wait++)
            ;
        seen += *window - (place == 4 ? 0x44 : 0x55);
    }
    show("wrong pages seen", seen);
    *entry = 0;
    __asm__ volatile("invlpg (%0)" : : "r"(WINDOW) : "memory");
    __asm__ volatile("addps 0x10(%0), %%xmm3" : : "a"(WINDOW));
    show("faults", faults);
    show("at", fault_address);
}

static void time_stamps(void)
{
    uint64_t before = 0, backwards = 0;

    for (int i = 0; i < 200; i++) {
        uint32_t low, high, processor;

        if (i % 2 == 0)
            __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
        else
            __asm__ volatile("rdtscp" : "=a"(low), "=d"(high), "=c"(processor));
        uint64_t now = (uint64_t)high << 32 | low;

        backwards += now < before;
        before = now;
    }
    show("time stamps that went backwards", backwards);
}

static uint64_t cpuid_sum(uint32_t leaf)
{
    uint32_t a = leaf, b, c = 0, d;

    __asm__ volatile("cpuid" : "+a"(a), "=b"(b), "+c"(c), "=d"(d));
    return ((uint64_t)a << 32 | b) * 31 + ((uint64_t)c << 32 | d);
}

/* The processor is the same one before and after an instruction that was given up. */
static void identity(void)
{
    uint64_t before[2 * 24], changed = 0;

    for (uint32_t i = 0; i < 24; i++) {
        before[2 * i] = cpuid_sum(i);
        before[2 * i + 1] = cpuid_sum(0x80000000u + i);
    }
    for (uint32_t i = 0; i < 24; i++) {
        changed += popcnt(i) > 32;
        changed += cpuid_sum(i) != before[2 * i];
        changed += popcnt(i) > 32;
        changed += cpuid_sum(0x80000000u + i) != before[2 * i + 1];
    }
    show("leaves of CPUID that changed", changed);
}

/* Longer than anybody waits for an emulator. */
static void count(void)
{
    uint64_t counted = 0;

    for (uint32_t left = 300000; left != 0; left--)
        __asm__ volatile("incq %0" : "+r"(counted));
    show("counted", counted);
}

/* What is left to KVM while another processor has the guest: a fault, and the step of a guest itself. */
static void left_to_kvm(void)
{
    set_gate(1, (void *)on_step);
    set_gate(13, (void *)on_protection);
    __asm__ volatile("rdmsr" : : "c"(0x12345678) : "eax", "edx");
    show("no MSR, vector", vector_seen);
    show("its frame's TF", flags_seen >> 8 & 1);
    __asm__ volatile("pushfq; orl $0x100, (%%rsp); popfq; cpuid; pushfq; andl $~0x100, (%%rsp); popfq"
                     : : "a"(0) : "ebx", "ecx", "edx", "cc", "memory");
    show("steps", steps);
}

void guest_main(void)
{
    set_up();
    integers();
    traps();
    sse();
    undefined();
    x87();
    segment_base();
    mapping();
    time_stamps();
    /* Interrupts come while instructions are given up, and wake the processor. */
    uint32_t start = ticks;
    while (ticks - start < 5)
        popcnt(start);
    start = ticks;
    while (ticks - start < 5)
        __asm__ volatile("hlt");
    show("ticks", popcnt(0x7000));
    identity();
    count();
    left_to_kvm();
    finish();
}
