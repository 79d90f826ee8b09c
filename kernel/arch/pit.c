/* Intel 8254 data sheet: control word, modes 0 and 2, counter latch. */
#include "pit.h"
#include <kernel/io.h>

#define CHANNEL_0 0x40
#define CONTROL   0x43

#define LATCH_CHANNEL_0 0x00
#define MODE_0_ONE_SHOT 0x30 /* low byte, then high byte; OUT rises at zero */
#define MODE_2_PERIODIC 0x34

static void load(uint8_t control, uint16_t count)
{
    outb(CONTROL, control);
    outb(CHANNEL_0, (uint8_t)count);
    outb(CHANNEL_0, (uint8_t)(count >> 8));
}

void pit_start_free_running(void)
{
    load(MODE_2_PERIODIC, 0); /* 0 counts as 65536 */
}

void pit_stop(void)
{
    outb(CONTROL, MODE_0_ONE_SHOT); /* and no count: nothing to count from */
}

uint16_t pit_read(void)
{
    outb(CONTROL, LATCH_CHANNEL_0);

    uint8_t low = inb(CHANNEL_0);
    uint8_t high = inb(CHANNEL_0);

    return (uint16_t)(high << 8 | low);
}

void pit_set_alarm(uint16_t count)
{
    load(MODE_0_ONE_SHOT, count);
}
