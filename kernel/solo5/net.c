#include "net.h"

#include "handles.h"
#include "options.h"

#include <kernel/virtio_net.h>
#include <stdio.h>
#include <string.h>

_Static_assert(SOLO5_NET_ALEN == NET_ADDRESS_SIZE, "Ethernet addresses");
_Static_assert(SOLO5_NET_HLEN == NET_HEADER_SIZE, "Ethernet headers");

/* The acquired devices, so that a poll touches only those. */
static struct {
    struct net_device *device;
    solo5_handle_t handle;
} networks[MAX_HANDLES];
static unsigned network_count;

static void describe(const char *name, const struct net_device *device)
{
    const struct virtio_device *virtio = net_virtio(device);
    const uint8_t *address = net_address(device);
    if (kernel_quiet)
        return;
    printf("%s: virtio-net at PCI %02x:%02x.%x, irq %u, "
           "%02x:%02x:%02x:%02x:%02x:%02x, mtu %zu\n",
           name, virtio->pci.bus, virtio->pci.slot, virtio->pci.function,
           virtio->irq, address[0], address[1], address[2], address[3],
           address[4], address[5], net_mtu(device));
}

solo5_result_t solo5_net_acquire(const char *name, solo5_handle_t *handle,
                                 struct solo5_net_info *info)
{
    unsigned index;
    if (!handle_choose(name, MFT_DEV_NET_BASIC, handle, &index))
        return SOLO5_R_EINVAL;
    struct net_device *device = net_open(index);
    if (device == NULL)
        return SOLO5_R_EINVAL;

    handle_assign(*handle, name, MFT_DEV_NET_BASIC, device);
    networks[network_count].device = device;
    networks[network_count].handle = *handle;
    network_count++;
    memcpy(info->mac_address, net_address(device), SOLO5_NET_ALEN);
    info->mtu = net_mtu(device);
    describe(name, device);
    return SOLO5_R_OK;
}

solo5_result_t solo5_net_write(solo5_handle_t handle, const uint8_t *buf,
                               size_t size)
{
    struct net_device *device = handle_device(handle, MFT_DEV_NET_BASIC);
    if (device == NULL || size < SOLO5_NET_HLEN ||
        size > net_mtu(device) + SOLO5_NET_HLEN)
        return SOLO5_R_EINVAL;
    net_send(device, buf, size); /* or drops it: no buffer is no error */
    return SOLO5_R_OK;
}

solo5_result_t solo5_net_read(solo5_handle_t handle, uint8_t *buf, size_t size,
                              size_t *read_size)
{
    struct net_device *device = handle_device(handle, MFT_DEV_NET_BASIC);
    if (device == NULL || size < net_mtu(device) + SOLO5_NET_HLEN)
        return SOLO5_R_EINVAL;
    size_t length = net_receive(device, buf, size);
    if (length == 0)
        return SOLO5_R_AGAIN;
    *read_size = length;
    return SOLO5_R_OK;
}

solo5_handle_set_t readable_networks(void)
{
    solo5_handle_set_t set = 0;
    for (unsigned i = 0; i < network_count; i++)
        if (net_can_receive(networks[i].device))
            set |= (solo5_handle_set_t)1 << networks[i].handle;
    return set;
}

solo5_handle_set_t listen_to_networks(void)
{
    solo5_handle_set_t set = 0;
    for (unsigned i = 0; i < network_count; i++)
        if (net_listen(networks[i].device))
            set |= (solo5_handle_set_t)1 << networks[i].handle;
    return set;
}

void drain_networks(void)
{
    for (unsigned i = 0; i < network_count; i++)
        net_drain(networks[i].device);
}
