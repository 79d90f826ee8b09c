#include <net/icmp.h>

#include <net/checksum.h>

/* Type and code, as one word. */
#define ECHO_REQUEST NETWORK16(0x0800)
#define ECHO_REPLY   NETWORK16(0x0000)

struct icmp_echo {
    uint16_t type_code;
    uint16_t checksum;
    uint16_t identifier;
    uint16_t sequence;
} __attribute__((packed));

/* The data goes back untouched and unread: the checksum follows the one word
 * that changes. So the reply to a damaged request has a wrong checksum too, and
 * its sender sees that. */
bool icmp_answer(struct interface *interface,
                 const struct ipv4_datagram *datagram, unsigned *sequence)
{
    struct icmp_echo *echo = (void *)datagram->payload;
    if (datagram->header->protocol != IPV4_PROTOCOL_ICMP ||
        datagram->payload_size < sizeof(*echo) ||
        echo->type_code != ECHO_REQUEST)
        return false;

    echo->type_code = ECHO_REPLY;
    echo->checksum = checksum_update(echo->checksum, ECHO_REQUEST, ECHO_REPLY);
    *sequence = NETWORK16(echo->sequence);
    ipv4_return(interface, datagram);
    return true;
}
