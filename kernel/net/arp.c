#include <net/arp.h>

#include <net/ethernet.h>

#include <string.h>

#define HARDWARE_ETHERNET NETWORK16(1)
#define IPV4_SIZE         4
#define OPERATION_REQUEST NETWORK16(1)
#define OPERATION_REPLY   NETWORK16(2)

struct arp_frame {
    struct ethernet_header ethernet;
    uint16_t hardware_type;
    uint16_t protocol_type;
    uint8_t hardware_size;
    uint8_t protocol_size;
    uint16_t operation;
    uint8_t sender_mac[SOLO5_NET_ALEN];
    uint32_t sender_address;
    uint8_t target_mac[SOLO5_NET_ALEN];
    uint32_t target_address;
} __attribute__((packed));

void arp_answer(struct interface *interface, size_t length)
{
    struct arp_frame *arp = (void *)interface->buffer;
    if (length < sizeof(*arp) || arp->hardware_type != HARDWARE_ETHERNET ||
        arp->protocol_type != ETHERTYPE_IPV4 ||
        arp->hardware_size != SOLO5_NET_ALEN ||
        arp->protocol_size != IPV4_SIZE ||
        arp->operation != OPERATION_REQUEST ||
        arp->target_address != interface->address)
        return;

    arp->operation = OPERATION_REPLY;
    memcpy(arp->target_mac, arp->sender_mac, SOLO5_NET_ALEN);
    arp->target_address = arp->sender_address;
    memcpy(arp->sender_mac, interface->info.mac_address, SOLO5_NET_ALEN);
    arp->sender_address = interface->address;
    interface_reply(interface, sizeof(*arp));
}

void arp_announce(struct interface *interface)
{
    struct arp_frame *arp = (void *)interface->buffer;
    *arp = (struct arp_frame){
        .ethernet = {.from = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
                     .type = ETHERTYPE_ARP},
        .hardware_type = HARDWARE_ETHERNET,
        .protocol_type = ETHERTYPE_IPV4,
        .hardware_size = SOLO5_NET_ALEN,
        .protocol_size = IPV4_SIZE,
        .operation = OPERATION_REQUEST,
        .sender_address = interface->address,
        .target_address = interface->address,
    };
    memcpy(arp->sender_mac, interface->info.mac_address, SOLO5_NET_ALEN);
    /* The reply to a frame from everybody goes to everybody. */
    interface_reply(interface, sizeof(*arp));
}
