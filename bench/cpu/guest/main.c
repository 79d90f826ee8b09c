/* The workloads as a bare-metal guest: a small kernel's circumstances (paging, a timer that
 * interrupts), and no operating system. The command line's last word names the workload. */
#include "../workloads/run.h"
#include <stdint.h>

#define CODE_SELECTOR 0x08

#define PIT_CHANNEL_0   0x40
#define PIT_CONTROL     0x43
#define PIT_RATE_MODE   0x34 /* channel 0, low byte then high byte, mode 2 */
#define PIT_FREQUENCY   1193182
#define TICKS_A_SECOND  250

#define PIC_MASTER      0x20
#define PIC_SLAVE       0xa0
#define PIC_ICW1        0x11
#define PIC_ICW4_8086   0x01
#define PIC_CASCADE     2
#define PIC_EOI         0x20

#define VECTORS         48
#define TIMER_VECTOR    32

#define SERIAL          0x3f8
#define SERIAL_STATUS   (SERIAL + 5)
#define SERIAL_EMPTY    0x20

#define DEBUG_EXIT      0x501
/* QEMU's isa-debug-exit turns it into the status 83, and solo5-kvm into 0. */
#define SUCCESS         41
#define FAILURE         1

#define MULTIBOOT_COMMAND_LINE 0x04
struct multiboot_information {
    uint32_t flags, memory_lower, memory_upper, boot_device, command_line;
};

struct interrupt_frame;

static volatile uint32_t ticks;

static inline void out8(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
    uint8_t value;

    __asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
    return value;
}

void print(const char *text)
{
    for (; *text; text++) {
        while (!(in8(SERIAL_STATUS) & SERIAL_EMPTY))
            ;
        out8(SERIAL, (uint8_t)*text);
    }
}

static _Noreturn void leave(uint16_t status)
{
    __asm__ volatile("outw %0, %1" : : "a"(status), "Nd"((uint16_t)DEBUG_EXIT));
    for (;;)
        __asm__ volatile("cli; hlt");
}

__attribute__((interrupt)) static void timer(struct interrupt_frame *frame)
{
    (void)frame;
    ticks++;
    out8(PIC_MASTER, PIC_EOI);
}

/* Any other vector: nothing but a fault can come. Whether there is an error code does not matter to
 * who never returns. */
__attribute__((interrupt)) static void fault(struct interrupt_frame *frame)
{
    (void)frame;
    print("an exception\n");
    leave(FAILURE);
}

/* Gates (Intel SDM vol. 3A, 6.11 and 6.14.1). */
static struct gate {
    uint16_t offset_low, selector;
    uint8_t ist, type;
    uint16_t offset_middle;
#ifdef __x86_64__
    uint32_t offset_high, reserved;
#endif
} gates[VECTORS];

#define INTERRUPT_GATE 0x8e

static void set_gate(int vector, void (*handler)(struct interrupt_frame *))
{
    uintptr_t offset = (uintptr_t)handler;

    gates[vector] = (struct gate){
        .offset_low = (uint16_t)offset,
        .selector = CODE_SELECTOR,
        .type = INTERRUPT_GATE,
        .offset_middle = (uint16_t)(offset >> 16),
    };
}

static void start_timer(void)
{
    struct {
        uint16_t limit;
        uintptr_t base;
    } __attribute__((packed)) pointer = {sizeof(gates) - 1, (uintptr_t)gates};
    const uint16_t count = PIT_FREQUENCY / TICKS_A_SECOND;

    for (int vector = 0; vector < VECTORS; vector++)
        set_gate(vector, vector == TIMER_VECTOR ? timer : fault);
    __asm__ volatile("lidt %0" : : "m"(pointer));

    out8(PIC_MASTER, PIC_ICW1);
    out8(PIC_MASTER + 1, TIMER_VECTOR);
    out8(PIC_MASTER + 1, 1 << PIC_CASCADE);
    out8(PIC_MASTER + 1, PIC_ICW4_8086);
    out8(PIC_SLAVE, PIC_ICW1);
    out8(PIC_SLAVE + 1, TIMER_VECTOR + 8);
    out8(PIC_SLAVE + 1, PIC_CASCADE);
    out8(PIC_SLAVE + 1, PIC_ICW4_8086);
    out8(PIC_MASTER + 1, 0xfe); /* all but the timer masked */
    out8(PIC_SLAVE + 1, 0xff);

    out8(PIT_CONTROL, PIT_RATE_MODE);
    out8(PIT_CHANNEL_0, (uint8_t)count);
    out8(PIT_CHANNEL_0, (uint8_t)(count >> 8));
    __asm__ volatile("sti");
}

static const char *last_word(const char *line)
{
    const char *word = line;

    for (; *line; line++) {
        if (*line == ' ')
            word = line + 1;
    }
    return word;
}

static void print_number(uint32_t number)
{
    char digits[11];
    char *at = digits + sizeof(digits) - 1;

    *at = '\0';
    do
        *--at = (char)('0' + number % 10);
    while (number /= 10);
    print(at);
}

_Noreturn void guest_main(const struct multiboot_information *information);
_Noreturn void guest_main(const struct multiboot_information *information)
{
    if (!(information->flags & MULTIBOOT_COMMAND_LINE)) {
        print("no command line\n");
        leave(FAILURE);
    }
    start_timer();
    if (run(last_word((const char *)(uintptr_t)information->command_line))) {
        print("no such workload\n");
        leave(FAILURE);
    }
    print("ticks ");
    print_number(ticks);
    print("\n");
    leave(SUCCESS);
}
