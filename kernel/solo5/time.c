#include <kernel/clock.h>
#include <solo5.h>

solo5_time_t solo5_clock_monotonic(void)
{
    return clock_monotonic();
}

solo5_time_t solo5_clock_wall(void)
{
    return clock_wall();
}
