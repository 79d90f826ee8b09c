/*
 * UDP echo (port 7, RFC 862), sink (port 9, RFC 863) and statistics (port
 * 10000): any message to that port is answered with the counters. Answers ARP
 * and ping as well.
 *
 *     [ip=A.B.C.D] [quiet] [limit=N]
 *
 * One line a message, unless quiet. After N messages it exits with status 0.
 */
#include <net/arp.h>
#include <net/icmp.h>
#include <net/options.h>
#include <net/udp.h>

#include <solo5.h>
#include <stdio.h>

#define PORT_ECHO       7
#define PORT_DISCARD    9
#define PORT_STATISTICS 10000

#define NSEC_PER_MSEC 1000000u
#define MSEC_PER_SEC  1000u

static struct {
    unsigned long packets, bytes; /* frames received, whole */
    unsigned long echoed, echoed_bytes;
    unsigned long discarded, discarded_bytes;
    solo5_time_t since;
} statistics;

static void send_statistics(struct interface *interface,
                            struct udp_message *message)
{
    solo5_time_t milliseconds =
        (solo5_clock_monotonic() - statistics.since) / NSEC_PER_MSEC;
    size_t room = udp_room(interface, message);
    int size = snprintf(
        (char *)message->data, room,
        "packets %lu\nbytes %lu\nechoed %lu\nechoed-bytes %lu\n"
        "discarded %lu\ndiscarded-bytes %lu\nseconds %lu.%03lu\n",
        statistics.packets, statistics.bytes, statistics.echoed,
        statistics.echoed_bytes, statistics.discarded,
        statistics.discarded_bytes, milliseconds / MSEC_PER_SEC,
        milliseconds % MSEC_PER_SEC);
    udp_answer(interface, message, (size_t)size < room ? (size_t)size : room);
}

/* Serves a message; returns what was done with it, NULL if nothing. */
static const char *serve_message(struct interface *interface,
                                 struct udp_message *message)
{
    switch (message->to_port) {
    case PORT_ECHO:
        /* Two echo services would play ball for ever. */
        if (message->from_port == PORT_ECHO)
            return NULL;
        statistics.echoed++;
        statistics.echoed_bytes += message->size;
        udp_return(interface, message);
        return "echoed";
    case PORT_DISCARD:
        statistics.discarded++;
        statistics.discarded_bytes += message->size;
        return "discarded";
    case PORT_STATISTICS:
        send_statistics(interface, message);
        return "answered with statistics";
    default:
        return NULL;
    }
}

/* Serves the frame in the interface's buffer; true if it was a UDP message for
 * one of the ports. */
static bool serve(struct interface *interface, size_t length, bool quiet)
{
    const struct ethernet_header *ethernet = (void *)interface->buffer;
    struct ipv4_datagram datagram;
    struct udp_message message;
    unsigned sequence;

    if (ethernet->type == ETHERTYPE_ARP) {
        arp_answer(interface, length);
        return false;
    }
    if (ethernet->type != ETHERTYPE_IPV4 ||
        !ipv4_parse(interface, length, &datagram) ||
        icmp_answer(interface, &datagram, &sequence) ||
        !udp_parse(&datagram, &message))
        return false;

    uint32_t from = datagram.header->from;
    const char *result = serve_message(interface, &message);
    if (result == NULL)
        return false;
    if (!quiet)
        printf("%zu bytes from %u.%u.%u.%u port %u to port %u: %s\n",
               message.size, IPV4_PARTS(from), message.from_port,
               message.to_port, result);
    return true;
}

int solo5_app_main(const struct solo5_start_info *info)
{
    static struct interface interface;
    struct options options;

    if (!options_read(info->cmdline, &options) ||
        !interface_open(&interface, "service0", options.address))
        return SOLO5_EXIT_FAILURE;
    statistics.since = solo5_clock_monotonic();
    printf("Serving UDP on %u.%u.%u.%u: echo on port %u, sink on %u, "
           "statistics on %u\n",
           IPV4_PARTS(options.address), PORT_ECHO, PORT_DISCARD,
           PORT_STATISTICS);
    arp_announce(&interface);

    unsigned long served = 0;
    while (options.limit == 0 || served < options.limit) {
        size_t length = interface_receive(&interface);
        statistics.packets++;
        statistics.bytes += length;
        if (serve(&interface, length, options.quiet))
            served++;
    }
    printf("Served %lu messages\n", served);
    return SOLO5_EXIT_SUCCESS;
}
