#include <net/ipv4.h>

#include <net/checksum.h>

#include <stddef.h>
#include <string.h>

#define VERSION      4
#define WORD         4 /* bytes */
#define WORDS_LOWEST 5

#define FRAGMENT_MASK NETWORK16(0x3fff) /* MORE_FRAGMENTS, and the offset */
#define TTL           64

#define LOCAL_BROADCAST 0xffffffffu

/* The first octet of addresses that cannot be a sender's: this network, and
 * multicast upwards (RFC 1122, section 3.2.1.3). */
static bool is_host(uint32_t address)
{
    uint8_t first = (uint8_t)address;
    return first != 0 && first < 224 && address != LOCAL_BROADCAST;
}

bool ipv4_parse(const struct interface *interface, size_t length,
                struct ipv4_datagram *datagram)
{
    struct ipv4_header *header = (void *)(interface->buffer + SOLO5_NET_HLEN);
    length -= SOLO5_NET_HLEN;
    if (length < sizeof(*header) || header->version_length >> 4 != VERSION ||
        header->to != interface->address || !is_host(header->from) ||
        header->fragment & FRAGMENT_MASK)
        return false;

    size_t header_size = (header->version_length & 0xf) * (size_t)WORD;
    size_t total_length = NETWORK16(header->total_length);
    if (header_size < WORDS_LOWEST * WORD || header_size > total_length ||
        total_length > length)
        return false;
    /* The sum over the checksum too is minus zero, that is, all ones. */
    if (checksum_fold(checksum_add(0, header, header_size)) != 0xffff)
        return false;

    datagram->header = header;
    datagram->payload = (uint8_t *)header + header_size;
    datagram->payload_size = total_length - header_size;
    return true;
}

void ipv4_return(struct interface *interface,
                 const struct ipv4_datagram *datagram)
{
    struct ipv4_header *header = datagram->header;
    /* Exchanging the addresses leaves the sum as it is. */
    header->to = header->from;
    header->from = interface->address;

    uint16_t before, after;
    memcpy(&before, &header->ttl, sizeof(before)); /* and the protocol */
    header->ttl = TTL;
    memcpy(&after, &header->ttl, sizeof(after));
    header->checksum = checksum_update(header->checksum, before, after);

    interface_reply(interface,
                    SOLO5_NET_HLEN + NETWORK16(header->total_length));
}

size_t ipv4_payload_max(const struct interface *interface,
                        const struct ipv4_datagram *datagram)
{
    const uint8_t *start = (const uint8_t *)datagram->header;
    return interface->info.mtu - (size_t)(datagram->payload - start);
}

void ipv4_return_resized(struct interface *interface,
                         struct ipv4_datagram *datagram, size_t payload_size)
{
    struct ipv4_header *header = datagram->header;
    uint16_t before = header->total_length;
    size_t header_size = (size_t)(datagram->payload - (uint8_t *)header);
    datagram->payload_size = payload_size;
    header->total_length = NETWORK16((uint16_t)(header_size + payload_size));
    header->checksum =
        checksum_update(header->checksum, before, header->total_length);
    ipv4_return(interface, datagram);
}
