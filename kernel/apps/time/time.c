/* Shows the clocks and checks them against each other: monotonic time never
 * runs backwards, sleeps last as long as they were asked to, and wall time
 * advances with monotonic time. Ends with status 0 if everything holds. */
#include <inttypes.h>
#include <solo5.h>
#include <stdbool.h>
#include <stdio.h>

#define NSEC_PER_MSEC UINT64_C(1000000)
#define NSEC_PER_SEC  UINT64_C(1000000000)

/* How late a sleep may end: a busy host runs other things first. */
#define LATENESS_ALLOWED (250 * NSEC_PER_MSEC)

#define READINGS 1000

/* A time of day in this range was not read from a clock that is off. */
#define YEAR_2020 UINT64_C(1577836800)
#define YEAR_2100 UINT64_C(4102444800)

static bool all_well = true;

static void check(bool holds, const char *what)
{
    if (!holds)
        printf("  FAILED: %s\n", what);
    all_well = all_well && holds;
}

static void print_date(uint64_t seconds)
{
    static const unsigned month_lengths[] = {31, 28, 31, 30, 31, 30,
                                             31, 31, 30, 31, 30, 31};
    uint64_t days = seconds / 86400;
    unsigned of_day = (unsigned)(seconds % 86400);
    unsigned year = 1970, month = 0;

    for (;; year++) {
        bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        unsigned length = leap ? 366 : 365;

        if (days >= length) {
            days -= length;
            continue;
        }
        for (;; month++) {
            length = month_lengths[month] + (leap && month == 1);
            if (days < length)
                break;
            days -= length;
        }
        break;
    }
    printf("%04u-%02u-%02u %02u:%02u:%02u UTC", year, month + 1,
           (unsigned)days + 1, of_day / 3600, of_day / 60 % 60, of_day % 60);
}

static void check_monotonic(void)
{
    solo5_time_t last = solo5_clock_monotonic();
    solo5_time_t first = last;
    bool backwards = false;

    for (int i = 0; i < READINGS; i++) {
        solo5_time_t now = solo5_clock_monotonic();

        backwards = backwards || now < last;
        last = now;
    }
    printf("Monotonic: %" PRIu64 " ns; %d readings took %" PRIu64 " ns\n",
           last, READINGS, last - first);
    check(!backwards, "monotonic time ran backwards");
    check(last > first, "monotonic time stands still");
}

static void check_sleep(uint64_t milliseconds)
{
    solo5_time_t start = solo5_clock_monotonic();
    solo5_time_t deadline = start + milliseconds * NSEC_PER_MSEC;
    solo5_handle_set_t ready;

    solo5_yield(deadline, &ready);
    solo5_time_t end = solo5_clock_monotonic();
    printf("Slept %" PRIu64 ".%03" PRIu64 " ms of %" PRIu64 "\n",
           (end - start) / NSEC_PER_MSEC,
           (end - start) / 1000 % 1000, milliseconds);
    check(end >= deadline, "the sleep ended early");
    check(end - deadline < LATENESS_ALLOWED, "the sleep ended late");
    check(ready == 0, "a device is ready where none is acquired");
}

int solo5_app_main(const struct solo5_start_info *info)
{
    (void)info;

    solo5_time_t wall_start = solo5_clock_wall();
    solo5_time_t start = solo5_clock_monotonic();

    printf("Wall clock: ");
    print_date(wall_start / NSEC_PER_SEC);
    printf("\n");
    check(wall_start / NSEC_PER_SEC > YEAR_2020, "the wall clock is early");
    check(wall_start / NSEC_PER_SEC < YEAR_2100, "the wall clock is late");

    check_monotonic();
    check_sleep(0);
    check_sleep(1);
    check_sleep(10);
    check_sleep(100);
    check_sleep(1000);

    uint64_t wall = solo5_clock_wall() - wall_start;
    uint64_t monotonic = solo5_clock_monotonic() - start;
    uint64_t difference =
        wall > monotonic ? wall - monotonic : monotonic - wall;
    printf("Since the start: %" PRIu64 " ms by the wall clock, %" PRIu64
           " ms by the monotonic one\n",
           wall / NSEC_PER_MSEC, monotonic / NSEC_PER_MSEC);
    check(difference < LATENESS_ALLOWED, "the clocks drift apart");

    printf("%s\n", all_well ? "SUCCESS" : "FAILURE");
    return all_well ? SOLO5_EXIT_SUCCESS : SOLO5_EXIT_FAILURE;
}
