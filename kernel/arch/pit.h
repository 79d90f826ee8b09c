/* The 8254 interval timer's channel 0: the ruler for the TSC, and the alarm
 * clock of a sleeping processor. */
#ifndef ARCH_PIT_H
#define ARCH_PIT_H

#include <stdint.h>

#define PIT_IRQ       0
#define PIT_FREQUENCY 1193182u /* Hz: 105/88 MHz */

/* The longest alarm. */
#define PIT_MAX_COUNT 65535u

/* Starts counting down from 65536, over and over. */
void pit_start_free_running(void);

/* Stops the channel, so that a virtual one costs its host nothing. */
void pit_stop(void);

/* The count at this moment. */
uint16_t pit_read(void);

/* One interrupt, `count` periods of PIT_FREQUENCY (1 to PIT_MAX_COUNT) from
 * now; an earlier alarm is forgotten. */
void pit_set_alarm(uint16_t count);

#endif
