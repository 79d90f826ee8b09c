/*
 * Answers ping, and ARP so that it can be found.
 *
 *     [ip=A.B.C.D] [quiet] [limit=N]
 *
 * One line a ping, unless quiet. After N pings it exits with status 0.
 */
#include <net/arp.h>
#include <net/icmp.h>
#include <net/options.h>

#include <solo5.h>
#include <stdio.h>

/* Serves the frame in the interface's buffer; true if it was a ping. */
static bool serve(struct interface *interface, size_t length, bool quiet)
{
    const struct ethernet_header *ethernet = (void *)interface->buffer;
    struct ipv4_datagram datagram;
    unsigned sequence;

    if (ethernet->type == ETHERTYPE_ARP) {
        arp_answer(interface, length);
        return false;
    }
    if (ethernet->type != ETHERTYPE_IPV4 ||
        !ipv4_parse(interface, length, &datagram))
        return false;

    uint32_t from = datagram.header->from;
    if (!icmp_answer(interface, &datagram, &sequence))
        return false;
    if (!quiet)
        printf("got ping %u from %u.%u.%u.%u...sending ping reply\n", sequence,
               IPV4_PARTS(from));
    return true;
}

int solo5_app_main(const struct solo5_start_info *info)
{
    static struct interface interface;
    struct options options;

    if (!options_read(info->cmdline, &options) ||
        !interface_open(&interface, "service0", options.address))
        return SOLO5_EXIT_FAILURE;
    printf("Serving ping on %u.%u.%u.%u\n", IPV4_PARTS(options.address));
    arp_announce(&interface);

    unsigned long served = 0;
    while (options.limit == 0 || served < options.limit) {
        size_t length = interface_receive(&interface);
        if (serve(&interface, length, options.quiet))
            served++;
    }
    printf("Served %lu pings\n", served);
    return SOLO5_EXIT_SUCCESS;
}
