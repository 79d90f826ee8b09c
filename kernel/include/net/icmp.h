/* ICMP echo (RFC 792). */
#ifndef NET_ICMP_H
#define NET_ICMP_H

#include <net/ipv4.h>

/* Replies if the datagram is an echo request: returns true and stores its
 * sequence number. */
bool icmp_answer(struct interface *interface,
                 const struct ipv4_datagram *datagram, unsigned *sequence);

#endif
