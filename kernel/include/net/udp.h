/* UDP (RFC 768): receiving, and answering the sender. */
#ifndef NET_UDP_H
#define NET_UDP_H

#include <net/ipv4.h>

struct udp_message {
    struct ipv4_datagram datagram;
    uint16_t from_port, to_port;
    uint8_t *data;
    size_t size;
};

/* Finds the UDP message of a datagram; false if there is none. The checksum is
 * not verified. */
bool udp_parse(const struct ipv4_datagram *datagram,
               struct udp_message *message);

/* Sends the message back as it is. Its checksum, which covers nothing that
 * changes but for the order, stays: right if it was right. */
void udp_return(struct interface *interface, const struct udp_message *message);

/* The room there is for an answer's data, from message->data on. */
size_t udp_room(const struct interface *interface,
                const struct udp_message *message);

/* Sends `size` bytes, written to message->data, to the message's sender. */
void udp_answer(struct interface *interface, struct udp_message *message,
                size_t size);

#endif
