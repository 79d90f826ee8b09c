/* Monotonic and wall time from the TSC, and sleeping. The 8254 says how fast
 * the TSC runs; that takes 10 ms and is done when time is first asked for, so
 * that a program that never asks starts without it. */
#include "pit.h"
#include "rtc.h"
#include <kernel/clock.h>
#include <kernel/cpu.h>
#include <kernel/interrupt.h>
#include <kernel/platform.h>
#include <stdbool.h>
#include <stddef.h>

/* Counts of the 8254 in each half of the calibration: 5 ms. */
#define HALF_COUNTS (PIT_FREQUENCY / 200)

/* Readings at each end; the one that took least is the one to believe. */
#define CALIBRATION_READINGS 4

#define CALIBRATION_TRIES 10

/* So many readings of an 8254 that counts take longer than a half. */
#define READINGS_LIMIT 1000000

static uint64_t tsc_at_start;
static uint64_t nanoseconds_per_tick; /* 32.32 fixed point; 0: not measured */

/* The same moment on both clocks. */
struct moment {
    uint64_t tsc;
    uint16_t count;
};

/* A reading of the 8254 lies somewhere between the TSC readings around it. In
 * a virtual machine something else may run in between, for milliseconds; of
 * several tries the shortest is the most exact. */
static struct moment read_both_clocks(void)
{
    struct moment best = {0, 0};
    uint64_t best_width = UINT64_MAX;

    for (int i = 0; i < CALIBRATION_READINGS; i++) {
        uint64_t before = rdtsc();
        uint16_t count = pit_read();
        uint64_t width = rdtsc() - before;

        if (width < best_width) {
            best_width = width;
            best.tsc = before + width / 2;
            best.count = count;
        }
    }
    return best;
}

static void wait_until_counted(uint16_t start, uint16_t counts)
{
    /* 16-bit arithmetic: a wrap of the count makes no difference. */
    for (int i = 0; i < READINGS_LIMIT; i++) {
        if ((uint16_t)(start - pit_read()) >= counts)
            return;
    }
    panic("the 8254 timer does not count");
}

/* Measures twice 5 ms in a row and sets the rate if both agree. They do not
 * if the host kept the processor for more than 55 ms meanwhile: the 8254 went
 * round once more, and its count tells nothing. */
static bool measure(void)
{
    struct moment start = read_both_clocks();
    wait_until_counted(start.count, HALF_COUNTS);
    struct moment middle = read_both_clocks();
    wait_until_counted(middle.count, HALF_COUNTS);
    struct moment end = read_both_clocks();

    uint64_t counts1 = (uint16_t)(start.count - middle.count);
    uint64_t counts2 = (uint16_t)(middle.count - end.count);
    uint64_t ticks1 = middle.tsc - start.tsc;
    uint64_t ticks2 = end.tsc - middle.tsc;
    uint64_t product1 = ticks1 * counts2, product2 = ticks2 * counts1;
    uint64_t difference =
        product1 > product2 ? product1 - product2 : product2 - product1;

    /* In two steps: counts (17 bits) times a second in nanoseconds (30)
     * shifted left by 32 would not fit into 64 bits. */
    uint64_t nanoseconds = (counts1 + counts2) * NSEC_PER_SEC / PIT_FREQUENCY;
    nanoseconds_per_tick = (nanoseconds << 32) / (ticks1 + ticks2);
    return difference < product1 / 16;
}

static void calibrate(void)
{
    uint64_t flags = interrupts_save();
    int tries = 1;

    pit_start_free_running();
    while (!measure() && tries < CALIBRATION_TRIES)
        tries++;
    pit_stop();
    interrupts_restore(flags);
}

void clock_init(void)
{
    tsc_at_start = rdtsc();
}

uint64_t clock_monotonic(void)
{
    if (nanoseconds_per_tick == 0)
        calibrate();

    uint64_t ticks = rdtsc() - tsc_at_start;
    return (uint64_t)((unsigned __int128)ticks * nanoseconds_per_tick >> 32);
}

uint64_t clock_wall(void)
{
    static uint64_t wall_at_start;

    if (wall_at_start == 0)
        wall_at_start = rtc_seconds() * NSEC_PER_SEC - clock_monotonic();
    return wall_at_start + clock_monotonic();
}

/* The moment at which the 8254 interrupts; 0 while no alarm is set. */
static volatile uint64_t alarm;

static void alarm_went_off(void *unused)
{
    (void)unused;
    alarm = 0;
}

/* Sees to it that an interrupt comes at `deadline` or before. An alarm that
 * is set for earlier stays: the sleeper wakes once too often, but a busy
 * network does not reprogram the timer for every frame. The timer's 16 bits
 * reach 55 ms; a longer sleep is made of several. */
static void set_alarm(uint64_t now, uint64_t deadline)
{
    static bool registered;

    if (alarm != 0 && alarm <= deadline && alarm > now)
        return;
    if (!registered) {
        registered = true;
        irq_register(PIT_IRQ, alarm_went_off, NULL);
    }

    const uint64_t longest = PIT_MAX_COUNT * NSEC_PER_SEC / PIT_FREQUENCY;
    uint64_t sleep = deadline - now < longest ? deadline - now : longest;
    /* Rounded up: waking a moment late is better than twice. */
    uint64_t count = sleep * PIT_FREQUENCY / NSEC_PER_SEC + 1;

    alarm = now + sleep;
    pit_set_alarm((uint16_t)(count < PIT_MAX_COUNT ? count : PIT_MAX_COUNT));
}

void cpu_wait_until(uint64_t deadline)
{
    if (deadline != CLOCK_FOREVER) {
        uint64_t now = clock_monotonic();

        if (now >= deadline)
            return;
        set_alarm(now, deadline);
    }
    /* STI lets interrupts in only after the next instruction, so none can come
     * between the two. */
    __asm__ volatile("sti; hlt; cli" : : : "memory");
}
