#include <net/udp.h>

#include <net/checksum.h>

struct udp_header {
    uint16_t from_port, to_port;
    uint16_t length; /* of header and data */
    uint16_t checksum;
} __attribute__((packed));

bool udp_parse(const struct ipv4_datagram *datagram,
               struct udp_message *message)
{
    const struct udp_header *udp = (void *)datagram->payload;
    if (datagram->header->protocol != IPV4_PROTOCOL_UDP ||
        datagram->payload_size < sizeof(*udp))
        return false;
    size_t length = NETWORK16(udp->length);
    if (length < sizeof(*udp) || length > datagram->payload_size)
        return false;

    message->datagram = *datagram;
    message->from_port = NETWORK16(udp->from_port);
    message->to_port = NETWORK16(udp->to_port);
    message->data = datagram->payload + sizeof(*udp);
    message->size = length - sizeof(*udp);
    return true;
}

static void exchange_ports(const struct udp_message *message)
{
    struct udp_header *udp = (void *)message->datagram.payload;
    udp->from_port = NETWORK16(message->to_port);
    udp->to_port = NETWORK16(message->from_port);
}

void udp_return(struct interface *interface, const struct udp_message *message)
{
    exchange_ports(message);
    ipv4_return(interface, &message->datagram);
}

size_t udp_room(const struct interface *interface,
                const struct udp_message *message)
{
    return ipv4_payload_max(interface, &message->datagram) -
           sizeof(struct udp_header);
}

/* Over the pseudo header of RFC 768 (addresses, protocol, length), then header
 * and data. Zero would mean "none", so that its other form, all ones, stands
 * for it. */
static uint16_t udp_checksum(const struct ipv4_header *ip,
                             const struct udp_header *udp, size_t length)
{
    uint64_t sum = checksum_add(0, &ip->from, 2 * sizeof(ip->from));
    sum += NETWORK16(ip->protocol) + (uint64_t)udp->length;
    uint16_t checksum =
        (uint16_t)~checksum_fold(checksum_add(sum, udp, length));
    return checksum != 0 ? checksum : 0xffff;
}

void udp_answer(struct interface *interface, struct udp_message *message,
                size_t size)
{
    struct udp_header *udp = (void *)message->datagram.payload;
    size_t length = sizeof(*udp) + size;
    exchange_ports(message);
    udp->length = NETWORK16((uint16_t)length);
    udp->checksum = 0;
    udp->checksum = udp_checksum(message->datagram.header, udp, length);
    ipv4_return_resized(interface, &message->datagram, length);
}
