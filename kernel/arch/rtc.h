/* The MC146818 real-time clock. */
#ifndef ARCH_RTC_H
#define ARCH_RTC_H

#include <stdint.h>

/* Seconds since 1970-01-01 00:00, taking the clock to be set to UTC. */
uint64_t rtc_seconds(void);

#endif
