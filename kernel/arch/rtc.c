/* Motorola MC146818A data sheet; the century register is the PC's addition
 * (IBM AT: CMOS 0x32). */
#include "rtc.h"
#include <kernel/io.h>
#include <stdbool.h>
#include <string.h>

#define CMOS_INDEX 0x70
#define CMOS_DATA  0x71

#define REG_A              0x0a
#define REG_A_UPDATING     0x80
#define REG_B              0x0b
#define REG_B_BINARY       0x04
#define REG_B_24_HOURS     0x02
#define HOURS_PM           0x80
#define UPDATE_POLLS_LIMIT 10000
#define READINGS_LIMIT     10

struct time_registers {
    uint8_t seconds, minutes, hours, day, month, year, century;
};

static uint8_t cmos_read(uint8_t reg)
{
    outb(CMOS_INDEX, reg);
    return inb(CMOS_DATA);
}

static struct time_registers read_registers(void)
{
    /* An update takes 2 ms; the limit is for a clock that is not there. */
    for (int polls = 0; polls < UPDATE_POLLS_LIMIT; polls++) {
        if (!(cmos_read(REG_A) & REG_A_UPDATING))
            break;
    }
    return (struct time_registers){
        .seconds = cmos_read(0x00),
        .minutes = cmos_read(0x02),
        .hours = cmos_read(0x04),
        .day = cmos_read(0x07),
        .month = cmos_read(0x08),
        .year = cmos_read(0x09),
        .century = cmos_read(0x32),
    };
}

static unsigned from_bcd(uint8_t value, bool binary)
{
    return binary ? value : (value >> 4) * 10u + (value & 15u);
}

/* Days from 1970-01-01 to a date of the Gregorian calendar. Years are counted
 * from March, so that the leap day is a year's last one. */
static uint64_t days_since_1970(unsigned year, unsigned month, unsigned day)
{
    if (month <= 2)
        year--;

    unsigned months_since_march = (month + 9) % 12;
    uint64_t day_of_year = (153 * months_since_march + 2) / 5 + day - 1;
    uint64_t days = 365ull * year + year / 4 - year / 100 + year / 400;

    return days + day_of_year - 719468; /* 0000-03-01 to 1970-01-01 */
}

uint64_t rtc_seconds(void)
{
    struct time_registers now, again = read_registers();

    /* An update may come between two registers: only two equal readings are
     * a time. */
    for (int i = 0; i < READINGS_LIMIT; i++) {
        now = again;
        again = read_registers();
        if (memcmp(&now, &again, sizeof(now)) == 0)
            break;
    }

    uint8_t mode = cmos_read(REG_B);
    bool binary = mode & REG_B_BINARY;
    unsigned hours = from_bcd(now.hours & (uint8_t)~HOURS_PM, binary);
    unsigned century = from_bcd(now.century, binary);
    unsigned year = from_bcd(now.year, binary);

    if (!(mode & REG_B_24_HOURS))
        hours = hours % 12 + (now.hours & HOURS_PM ? 12 : 0);
    /* Without a believable century: 1970 to 2069. */
    if (century < 19 || century > 29)
        century = year < 70 ? 20 : 19;

    uint64_t days = days_since_1970(century * 100 + year,
                                    from_bcd(now.month, binary),
                                    from_bcd(now.day, binary));
    return ((days * 24 + hours) * 60 + from_bcd(now.minutes, binary)) * 60 +
           from_bcd(now.seconds, binary);
}
