/* Address resolution (RFC 826): answering who has our address. */
#ifndef NET_ARP_H
#define NET_ARP_H

#include <net/interface.h>

/* Replies to the ARP frame of `length` bytes in the interface's buffer if it
 * asks for the interface's address. */
void arp_answer(struct interface *interface, size_t length);

/* Tells everybody on the network the interface's address, so that switches and
 * neighbours forget who had it before. Overwrites the buffer. */
void arp_announce(struct interface *interface);

#endif
