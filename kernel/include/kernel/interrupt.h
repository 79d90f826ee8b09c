/* Interrupts: switching them off and on, and handlers of device interrupts. */
#ifndef KERNEL_INTERRUPT_H
#define KERNEL_INTERRUPT_H

#include <stdint.h>

#define RFLAGS_IF (1u << 9)

static inline void interrupts_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

static inline void interrupts_disable(void)
{
    __asm__ volatile("cli" : : : "memory");
}

/* Disables interrupts and returns the flags that interrupts_restore() takes,
 * so that such pairs nest. */
static inline uint64_t interrupts_save(void)
{
    uint64_t flags;
    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return flags;
}

static inline void interrupts_restore(uint64_t flags)
{
    if (flags & RFLAGS_IF)
        interrupts_enable();
}

/* Loads the IDT, points the TSS at the interrupt stack and remaps the two
 * 8259s with every line masked. Called once, before any irq_register(). */
struct boot_info;
void interrupts_init(const struct boot_info *boot_info);

/* Calls `handler(arg)` on every interrupt of line `irq` (0 to 15) and unmasks
 * the line. Lines are shared: every handler of a line is called, in the order
 * of registration, and looks for itself whether its device wants anything.
 * Handlers run with interrupts disabled on the one-page interrupt stack; they
 * are short, use general registers only, and never wait. The end-of-interrupt
 * command is sent after them, so a level-triggered device must have been
 * quietened by then. */
void irq_register(int irq, void (*handler)(void *), void *arg);

#endif
