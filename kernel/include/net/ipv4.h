/* IPv4 (RFC 791), without fragments. */
#ifndef NET_IPV4_H
#define NET_IPV4_H

#include <net/ethernet.h>
#include <net/interface.h>

#define IPV4_PROTOCOL_ICMP 1
#define IPV4_PROTOCOL_UDP  17

struct ipv4_header {
    uint8_t version_length; /* version, header length in 32-bit words */
    uint8_t service;
    uint16_t total_length;
    uint16_t identification;
    uint16_t fragment; /* flags and offset */
    uint8_t ttl;
    uint8_t protocol;
    uint16_t checksum;
    uint32_t from, to;
} __attribute__((packed));

/* A datagram in an interface's buffer. */
struct ipv4_datagram {
    struct ipv4_header *header;
    uint8_t *payload;
    size_t payload_size;
};

/* Finds the datagram in the frame of `length` bytes in the interface's buffer.
 * False if there is none, it is damaged, a fragment, or not for us. The
 * payload lies within the frame, and headers before it are as the standard
 * wants them; nothing is known of the payload itself. */
bool ipv4_parse(const struct interface *interface, size_t length,
                struct ipv4_datagram *datagram);

/* Sends the datagram back to its sender. The payload may have been changed, its
 * size not. */
void ipv4_return(struct interface *interface,
                 const struct ipv4_datagram *datagram);

/* The same with another payload size, at most ipv4_payload_max(). */
void ipv4_return_resized(struct interface *interface,
                         struct ipv4_datagram *datagram, size_t payload_size);
size_t ipv4_payload_max(const struct interface *interface,
                        const struct ipv4_datagram *datagram);

/* An address as text, for printf: "%u.%u.%u.%u", IPV4_PARTS(address). */
#define IPV4_PARTS(address)                                                  \
    (address) & 0xff, (address) >> 8 & 0xff, (address) >> 16 & 0xff,         \
        (address) >> 24

#endif
