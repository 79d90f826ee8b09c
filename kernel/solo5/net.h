/* What solo5_yield() and solo5_exit() ask of the network. */
#ifndef SOLO5_NET_H
#define SOLO5_NET_H

#include <solo5.h>

/* The acquired network devices that have a frame to read. */
solo5_handle_set_t readable_networks(void);

/* The same, after asking each for an interrupt at its next frame. To be called
 * with interrupts disabled, before going to sleep if the set is empty. */
solo5_handle_set_t listen_to_networks(void);

/* Waits a moment until frames that were written have left. */
void drain_networks(void);

#endif
