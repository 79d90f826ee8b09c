#include "net.h"

#include <kernel/clock.h>
#include <kernel/interrupt.h>
#include <solo5.h>
#include <stdbool.h>

/* Looks at the clock only if the deadline is one. */
static bool has_passed(solo5_time_t deadline)
{
    return deadline != CLOCK_FOREVER && clock_monotonic() >= deadline;
}

/* Nothing here waits while a frame is there: interrupts are asked for and the
 * queues looked at again with interrupts disabled, and they are let in only by
 * the halt itself, so that a frame arriving in between ends the sleep. */
void solo5_yield(solo5_time_t deadline, solo5_handle_set_t *ready_set)
{
    solo5_handle_set_t ready = readable_networks();
    if (ready == 0) {
        interrupts_disable();
        while ((ready = listen_to_networks()) == 0 && !has_passed(deadline))
            cpu_wait_until(deadline);
        interrupts_enable();
    }
    if (ready_set != NULL)
        *ready_set = ready;
}
