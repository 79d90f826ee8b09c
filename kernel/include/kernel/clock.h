/* Time in nanoseconds, and sleeping until a moment of it. */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <stdint.h>

#define NSEC_PER_SEC 1000000000ull

/* No deadline: cpu_wait_until() then programs no timer at all. */
#define CLOCK_FOREVER UINT64_MAX

/* Remembers the moment that monotonic time counts from; registers IRQ 0.
 * After interrupts_init(). */
void clock_init(void);

/* Nanoseconds since clock_init(). The first call measures the TSC against the
 * 8254 and takes about 10 ms. */
uint64_t clock_monotonic(void);

/* Nanoseconds since 1970-01-01 00:00 UTC: the RTC, read once, plus monotonic
 * time since. */
uint64_t clock_wall(void);

/* Sleeps until an interrupt has been handled or monotonic time has reached
 * `deadline`, whichever is first; it may return early, so callers loop.
 *
 * To be called with interrupts disabled, after the caller has found with
 * interrupts disabled that there is nothing to do. Interrupts are let in only
 * while the processor halts ("sti; hlt" is one step), so a wake-up between the
 * caller's test and the sleep cannot be lost. Returns with them disabled. */
void cpu_wait_until(uint64_t deadline);

#endif
