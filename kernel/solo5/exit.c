#include "block.h"
#include "net.h"

#include <kernel/platform.h>
#include <solo5.h>
#include <stdio.h>

void solo5_exit(int status)
{
    flush_block_devices();
    drain_networks();
    /* A status that no application may use can only be a mistake. */
    if (status < 0 || status > SOLO5_EXIT_ABORT)
        status = SOLO5_EXIT_ABORT;
    platform_exit(status);
}

void solo5_abort(void)
{
    printf("ABORT: the application called solo5_abort()\n");
    platform_exit(SOLO5_EXIT_ABORT);
}
