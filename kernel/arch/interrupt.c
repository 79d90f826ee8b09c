/* The interrupt descriptor table, and who handles which device interrupt. */
#include "pic.h"
#include <kernel/boot_info.h>
#include <kernel/interrupt.h>
#include <kernel/platform.h>
#include <stddef.h>

#define VECTORS (PIC_FIRST_VECTOR + PIC_LINES)

/* Offset of the IST1 pointer in the page: vectors.S explains it. */
#define INTERRUPT_STACK_TOP 4080

/* A 64-bit gate (Intel SDM vol. 3A, 6.14.1). */
struct gate {
    uint16_t offset_low;
    uint16_t selector;
    uint8_t ist;
    uint8_t type;
    uint16_t offset_middle;
    uint32_t offset_high;
    uint32_t reserved;
};

#define GATE_INTERRUPT 0x8e /* present, ring 0, clears IF */
#define IST1           1

char interrupt_stack_page[4096] __attribute__((aligned(4096)));

static struct gate idt[VECTORS] __attribute__((aligned(16)));

extern const uintptr_t vector_stubs[VECTORS];

/* In the order of registration; as many as a PCI bus has slots, and the PC's
 * own. */
#define MAX_HANDLERS 40

static struct {
    int irq;
    void (*call)(void *);
    void *arg;
} handlers[MAX_HANDLERS];
static int handler_count;

void interrupts_init(const struct boot_info *boot_info)
{
    struct task_state *task_state = (void *)boot_info->task_state;
    struct {
        uint16_t limit;
        uint64_t base;
    } __attribute__((packed)) idt_pointer = {sizeof(idt) - 1, (uintptr_t)idt};

    task_state->ist[IST1 - 1] =
        (uintptr_t)interrupt_stack_page + INTERRUPT_STACK_TOP;
    for (int vector = 0; vector < VECTORS; vector++) {
        uintptr_t stub = vector_stubs[vector];

        idt[vector].offset_low = (uint16_t)stub;
        idt[vector].selector = SELECTOR_CODE64;
        idt[vector].ist = IST1;
        idt[vector].type = GATE_INTERRUPT;
        idt[vector].offset_middle = (uint16_t)(stub >> 16);
        idt[vector].offset_high = (uint32_t)(stub >> 32);
    }
    __asm__ volatile("lidt %0" : : "m"(idt_pointer));
    pic_init();
}

void irq_register(int irq, void (*handler)(void *), void *arg)
{
    uint64_t flags = interrupts_save();

    if (irq < 0 || irq >= PIC_LINES)
        panic("interrupt line %d does not exist", irq);
    if (handler_count == MAX_HANDLERS)
        panic("too many interrupt handlers");
    handlers[handler_count].irq = irq;
    handlers[handler_count].call = handler;
    handlers[handler_count].arg = arg;
    handler_count++;
    pic_unmask(irq);
    interrupts_restore(flags);
}

/* Called by vectors.S with interrupts disabled. */
void irq_dispatch(int irq);
void irq_dispatch(int irq)
{
    if (pic_is_spurious(irq))
        return;
    for (int i = 0; i < handler_count; i++) {
        if (handlers[i].irq == irq)
            handlers[i].call(handlers[i].arg);
    }
    pic_end_of_interrupt(irq);
}
