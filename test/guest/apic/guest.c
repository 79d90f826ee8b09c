/*
 * A guest that brings up local APIC and I/O APIC as an operating system does, and prints what it
 * found. No line depends on how fast the machine is.
 */
#include <stdint.h>

#define COM1 0x3f8
#define LINE_STATUS 5
#define TRANSMITTER_EMPTY 0x20
#define PIT_HZ 1193182u
#define APIC_BASE_MSR 0x1b
#define APIC_BASE_ENABLE 0x800

enum {
    ID = 0x20, VERSION = 0x30, TPR = 0x80, PPR = 0xa0, EOI = 0xb0, LDR = 0xd0, DFR = 0xe0,
    SVR = 0xf0, ISR = 0x100, IRR = 0x200, ESR = 0x280, ICR_LOW = 0x300, ICR_HIGH = 0x310,
    LVT_TIMER = 0x320, LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, LVT_ERROR = 0x370,
    INITIAL_COUNT = 0x380, CURRENT_COUNT = 0x390, DIVIDE = 0x3e0,
};

enum { MASKED = 0x10000, PERIODIC = 0x20000, LEVEL = 0x8000, EXTINT = 0x700, REMOTE_IRR = 0x4000 };

enum {
    NMI_VECTOR = 2, PIC_VECTOR = 0x20, PIT_VECTOR = 0x31, SERIAL_VECTOR = 0x34, IPI_VECTOR = 0x41,
    TIMER_VECTOR = 0xec, ERROR_VECTOR = 0xfe, SPURIOUS_VECTOR = 0xff,
};

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline uint64_t read_msr(uint32_t number)
{
    uint32_t low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
    return (uint64_t)high << 32 | low;
}

static inline void write_msr(uint32_t number, uint64_t value)
{
    __asm__ volatile("wrmsr" : : "c"(number), "a"((uint32_t)value), "d"((uint32_t)(value >> 32)));
}

static inline uint64_t read_cr8(void)
{
    uint64_t value;

    __asm__ volatile("movq %%cr8, %0" : "=r"(value));
    return value;
}

static inline void write_cr8(uint64_t value)
{
    __asm__ volatile("movq %0, %%cr8" : : "r"(value) : "memory");
}

static volatile uint32_t *apic_register(uint32_t offset)
{
    return (volatile uint32_t *)(uintptr_t)(0xfee00000u + offset);
}

static uint32_t apic(uint32_t offset)
{
    return *apic_register(offset);
}

static void set_apic(uint32_t offset, uint32_t value)
{
    *apic_register(offset) = value;
}

/* Whether a vector's bit is set in ISR or IRR. */
static int has_vector(uint32_t set, uint32_t vector)
{
    return apic(set + vector / 32 * 0x10) >> vector % 32 & 1;
}

static uint32_t ioapic(uint8_t index)
{
    *(volatile uint32_t *)0xfec00000 = index;
    return *(volatile uint32_t *)0xfec00010;
}

static void set_ioapic(uint8_t index, uint32_t value)
{
    *(volatile uint32_t *)0xfec00000 = index;
    *(volatile uint32_t *)0xfec00010 = value;
}

static void route(uint8_t pin, uint32_t entry)
{
    set_ioapic(0x11 + 2 * pin, 0);
    set_ioapic(0x10 + 2 * pin, entry);
}

static void print(const char *text)
{
    for (; *text != '\0'; text++) {
        /* QEMU loses what is written while nobody reads its output. */
        while ((in8(COM1 + LINE_STATUS) & TRANSMITTER_EMPTY) == 0)
            ;
        out8(COM1, (uint8_t)*text);
    }
}

static void show(const char *name, uint64_t value)
{
    char digits[] = "00000000\n";

    for (int i = 0; i < 8; i++)
        digits[7 - i] = "0123456789abcdef"[value >> 4 * i & 0xf];
    print(name);
    print(" ");
    print(digits);
}

struct frame;
#define HANDLER __attribute__((interrupt)) static void

static volatile uint32_t pic_ticks, pit_ticks, timer_ticks, ipis, nmis, spurious, serial_interrupts;
static volatile uint32_t timer_in_service, serial_remote_irr;

HANDLER on_pic(struct frame *frame)
{
    (void)frame;
    pic_ticks++;
    out8(0x20, 0x20);
}

HANDLER on_pit(struct frame *frame)
{
    (void)frame;
    pit_ticks++;
    set_apic(EOI, 0);
}

HANDLER on_timer(struct frame *frame)
{
    (void)frame;
    timer_ticks++;
    timer_in_service = has_vector(ISR, TIMER_VECTOR);
    set_apic(EOI, 0);
}

/* Leaves the line high the first time: a level must come again. */
HANDLER on_serial(struct frame *frame)
{
    (void)frame;
    serial_remote_irr = ioapic(0x10 + 2 * 4) & REMOTE_IRR;
    if (++serial_interrupts == 2)
        in8(COM1 + 2);
    set_apic(EOI, 0);
}

HANDLER on_ipi(struct frame *frame)
{
    (void)frame;
    ipis++;
    set_apic(EOI, 0);
}

HANDLER on_nmi(struct frame *frame)
{
    (void)frame;
    nmis++;
}

HANDLER on_spurious(struct frame *frame)
{
    (void)frame;
    spurious++;
}

static struct gate {
    uint16_t offset0, selector;
    uint8_t stack, type;
    uint16_t offset16;
    uint32_t offset32, reserved;
} idt[256];

static void set_gate(uint8_t vector, void (*handler)(struct frame *))
{
    uint64_t address = (uint64_t)handler;

    idt[vector] = (struct gate){
        .offset0 = (uint16_t)address, .selector = 8, .type = 0x8e,
        .offset16 = (uint16_t)(address >> 16), .offset32 = (uint32_t)(address >> 32),
    };
}

static void load_idt(void)
{
    struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } pointer = {sizeof idt - 1, (uint64_t)idt};

    set_gate(NMI_VECTOR, on_nmi);
    set_gate(PIC_VECTOR, on_pic);
    set_gate(PIT_VECTOR, on_pit);
    set_gate(SERIAL_VECTOR, on_serial);
    set_gate(IPI_VECTOR, on_ipi);
    set_gate(TIMER_VECTOR, on_timer);
    set_gate(ERROR_VECTOR, on_spurious);
    set_gate(SPURIOUS_VECTOR, on_spurious);
    __asm__ volatile("lidt %0" : : "m"(pointer));
}

/* Sleeps until the counter reaches `count`; interrupts are off before and after. */
static void wait_for(volatile uint32_t *counter, uint32_t count)
{
    while (*counter < count)
        __asm__ volatile("sti; hlt; cli" : : : "memory");
}

/* Lets pending interrupts in, with an access that leaves the processor. */
static void let_in(void)
{
    __asm__ volatile("sti; nop" : : : "memory");
    apic(ID);
    __asm__ volatile("nop; cli" : : : "memory");
}

static void start_pit(uint32_t hz)
{
    out8(0x43, 0x34);
    out8(0x40, (uint8_t)(PIT_HZ / hz));
    out8(0x40, (uint8_t)(PIT_HZ / hz >> 8));
}

static void initialise_pic(uint8_t primary_mask)
{
    out8(0x20, 0x11);
    out8(0x21, PIC_VECTOR);
    out8(0x21, 4);
    out8(0x21, 1);
    out8(0xa0, 0x11);
    out8(0xa1, PIC_VECTOR + 8);
    out8(0xa1, 2);
    out8(0xa1, 1);
    out8(0x21, primary_mask);
    out8(0xa1, 0xff);
}

static uint32_t cpuid_apic(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return edx >> 9 & 1;
}

static void as_firmware_left_it(void)
{
    show("cpuid apic", cpuid_apic());
    show("base", read_msr(APIC_BASE_MSR));
    show("id", apic(ID));
    show("version", apic(VERSION));
    show("spurious", apic(SVR));
    show("lint0", apic(LVT_LINT0));
    show("lint1", apic(LVT_LINT1));
    show("timer", apic(LVT_TIMER));
    show("format", apic(DFR));
    show("ioapic pins less one", ioapic(1) >> 16);
    show("ioapic pin 2", ioapic(0x14));
}

static void virtual_wire(void)
{
    initialise_pic(0xfe);
    start_pit(1000);
    wait_for(&pic_ticks, 3);
    print("8259 ticks through lint0\n");
    initialise_pic(0xff);
}

static void bring_up(void)
{
    set_apic(DFR, 0xffffffff);
    set_apic(LDR, 0x01000000);
    set_apic(TPR, 0);
    set_apic(SVR, 0x100 | SPURIOUS_VECTOR);
    set_apic(LVT_LINT0, MASKED | EXTINT);
    set_apic(LVT_ERROR, ERROR_VECTOR);
    set_apic(ESR, 0);
    show("errors", apic(ESR));
}

static void local_timer(void)
{
    set_apic(DIVIDE, 0xb);
    set_apic(LVT_TIMER, TIMER_VECTOR);
    set_apic(INITIAL_COUNT, 2000000);
    wait_for(&timer_ticks, 1);
    show("one shot, in service", timer_in_service);
    show("count after it", apic(CURRENT_COUNT));
    set_apic(LVT_TIMER, PERIODIC | TIMER_VECTOR);
    set_apic(INITIAL_COUNT, 1000000);
    wait_for(&timer_ticks, 4);
    print("periodic ticks\n");
    set_apic(INITIAL_COUNT, 0);
    set_apic(LVT_TIMER, MASKED);
}

/* Counts of the timer in 20 ms by the PIT's third counter, and in what it takes to see their end. */
static uint32_t counts_in_20_ms(void)
{
    uint32_t before;

    out8(0x61, (in8(0x61) & ~2) | 1);
    out8(0x43, 0xb0);
    out8(0x42, (uint8_t)(PIT_HZ / 50));
    set_apic(INITIAL_COUNT, 0xffffffff);
    before = apic(CURRENT_COUNT);
    out8(0x42, (uint8_t)(PIT_HZ / 50 >> 8));
    while (!(in8(0x61) & 0x20))
        ;
    return before - apic(CURRENT_COUNT);
}

/* Never less than there should be; and not much more, unless the machine is kept from running. */
static void timer_frequency(void)
{
    uint32_t counts, tries = 0;

    set_apic(DIVIDE, 0xb);
    do
        counts = counts_in_20_ms();
    while (counts > 24000000 && ++tries < 50);
    set_apic(INITIAL_COUNT, 0);
    show("1 GHz bus", counts > 19990000 && counts <= 24000000);
}

static void io_apic(void)
{
    route(2, PIT_VECTOR);
    wait_for(&pit_ticks, 3);
    route(2, MASKED);
    print("pit ticks through pin 2\n");
    route(4, LEVEL | SERIAL_VECTOR);
    out8(COM1 + 4, 0xb);
    out8(COM1 + 1, 2);
    wait_for(&serial_interrupts, 2);
    out8(COM1 + 1, 0);
    show("level, remote irr", serial_remote_irr);
    show("and after it", ioapic(0x10 + 2 * 4));
    route(4, MASKED);
}

static void priorities(void)
{
    set_apic(TPR, 0x50);
    show("cr8", read_cr8());
    set_apic(ICR_LOW, 0x40000 | IPI_VECTOR);
    let_in();
    show("held back", has_vector(IRR, IPI_VECTOR) && ipis == 0);
    set_apic(TPR, 0);
    let_in();
    show("let through", ipis);
    write_cr8(4);
    show("tpr", apic(TPR));
    show("ppr", apic(PPR));
    set_apic(ICR_LOW, 0x40000 | IPI_VECTOR);
    let_in();
    show("held back by cr8", ipis == 1);
    write_cr8(3);
    let_in();
    show("let through", ipis);
    write_cr8(0);
}

static void messages(void)
{
    set_apic(ICR_HIGH, 0);
    set_apic(ICR_LOW, 0x4000 | 4 << 8);
    /* Emulators may look for it only now and then. */
    for (int i = 0; i < 1000 && nmis == 0; i++)
        apic(ID);
    show("nmi", nmis);
    /* INIT and two start-ups, to a processor that is not there. */
    set_apic(ICR_HIGH, 0x01000000);
    set_apic(ICR_LOW, 0xc500);
    set_apic(ICR_LOW, 0x8500);
    set_apic(ICR_LOW, 0x4608);
    set_apic(ICR_LOW, 0x4608);
    show("sent", apic(ICR_LOW) & 0x1000);
    set_apic(ESR, 0);
    show("errors", apic(ESR));
    show("spurious", spurious);
}

static void switch_off(void)
{
    uint64_t base = read_msr(APIC_BASE_MSR);
    uint32_t ticks = pic_ticks;

    print("off:\n");
    write_msr(APIC_BASE_MSR, base & ~(uint64_t)APIC_BASE_ENABLE);
    show("cpuid apic", cpuid_apic());
    show("version", apic(VERSION));
    initialise_pic(0xfe);
    wait_for(&pic_ticks, ticks + 3);
    print("8259 ticks\n");
    write_msr(APIC_BASE_MSR, base);
    show("cpuid apic", cpuid_apic());
    show("version", apic(VERSION));
    show("spurious", apic(SVR));
}

void guest_main(void)
{
    load_idt();
    as_firmware_left_it();
    virtual_wire();
    bring_up();
    local_timer();
    timer_frequency();
    io_apic();
    priorities();
    messages();
    switch_off();
    __asm__ volatile("outw %0, %1" : : "a"((uint16_t)0x5300), "Nd"((uint16_t)0x501));
    for (;;)
        __asm__ volatile("cli; hlt");
}
