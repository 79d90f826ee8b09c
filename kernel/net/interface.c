#include <net/interface.h>

#include <net/ethernet.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NEVER ((solo5_time_t)-1)
#define GROUP_BIT 1 /* of the first byte: broadcast or multicast */

bool interface_open(struct interface *interface, const char *name,
                    uint32_t address)
{
    if (solo5_net_acquire(name, &interface->handle, &interface->info) !=
        SOLO5_R_OK) {
        printf("no network device for '%s'\n", name);
        return false;
    }
    interface->address = address;
    interface->buffer = malloc(SOLO5_NET_HLEN + interface->info.mtu);
    if (interface->buffer == NULL) {
        printf("no memory for a frame\n");
        return false;
    }
    return true;
}

size_t interface_receive(struct interface *interface)
{
    const struct ethernet_header *header = (void *)interface->buffer;
    for (;;) {
        size_t length;
        if (solo5_net_read(interface->handle, interface->buffer,
                           SOLO5_NET_HLEN + interface->info.mtu,
                           &length) != SOLO5_R_OK) {
            solo5_yield(NEVER, NULL);
            continue;
        }
        if (length >= SOLO5_NET_HLEN &&
            (header->to[0] & GROUP_BIT ||
             memcmp(header->to, interface->info.mac_address, SOLO5_NET_ALEN) ==
                 0))
            return length;
    }
}

void interface_reply(struct interface *interface, size_t length)
{
    struct ethernet_header *header = (void *)interface->buffer;
    memcpy(header->to, header->from, SOLO5_NET_ALEN);
    memcpy(header->from, interface->info.mac_address, SOLO5_NET_ALEN);
    solo5_net_write(interface->handle, interface->buffer, length);
}
