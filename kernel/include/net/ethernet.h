/* Ethernet frames. */
#ifndef NET_ETHERNET_H
#define NET_ETHERNET_H

#include <net/byte_order.h>

#include <solo5.h>
#include <stdint.h>

#define ETHERTYPE_IPV4 NETWORK16(0x0800)
#define ETHERTYPE_ARP  NETWORK16(0x0806)

struct ethernet_header {
    uint8_t to[SOLO5_NET_ALEN];
    uint8_t from[SOLO5_NET_ALEN];
    uint16_t type;
} __attribute__((packed));

#endif
