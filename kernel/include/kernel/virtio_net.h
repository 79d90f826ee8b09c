/* Network devices (Virtio 1.2, section 5.1): Ethernet frames in and out. */
#ifndef KERNEL_VIRTIO_NET_H
#define KERNEL_VIRTIO_NET_H

#include <kernel/virtio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define NET_ADDRESS_SIZE 6
#define NET_HEADER_SIZE  14

struct net_device;

/* Brings up network device `index` (from 0, in PCI order), receiving at once.
 * NULL if there is no such device, or it cannot be used. Once per index. */
struct net_device *net_open(unsigned index);

const struct virtio_device *net_virtio(const struct net_device *device);
const uint8_t *net_address(const struct net_device *device);

/* The longest payload of a frame, in bytes. */
size_t net_mtu(const struct net_device *device);

/* Queues a copy of a frame of at most net_mtu() + NET_HEADER_SIZE bytes for
 * transmission and notifies the device. False if all buffers are under way. */
bool net_send(struct net_device *device, const void *frame, size_t length);

/* Waits until the device has sent all that net_send() gave it, or until it has
 * had a tenth of a second to do so. Before the machine ends. */
void net_drain(struct net_device *device);

/* Copies the next received frame to `to` and returns its length, 0 if there is
 * none. A frame longer than `size` is dropped. */
size_t net_receive(struct net_device *device, void *to, size_t size);

/* Whether net_receive() has something to return. */
bool net_can_receive(const struct net_device *device);

/* Asks for an interrupt at the next received frame, then answers as
 * net_can_receive(). To be called with interrupts disabled before sleeping. */
bool net_listen(struct net_device *device);

#endif
