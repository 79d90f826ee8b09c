/*
 * virtio-net by the legacy interface (Virtio 1.2, section 5.1).
 *
 * A buffer holds the 10-byte virtio header and then the frame, for both
 * directions. A device with ANY_LAYOUT gets it as one descriptor; any other
 * insists on the header in a descriptor of its own (section 2.7.4.1), so it
 * gets two, of the same memory. Descriptors are written once, at the start:
 * buffer i is the chain that begins at descriptor i, or 2i.
 *
 * Receiving interrupts only while somebody sleeps (net_listen). Transmitting
 * never does: buffers are collected when they run out.
 */
#include <kernel/clock.h>
#include <kernel/cpu.h>
#include <kernel/interrupt.h>
#include <kernel/memory.h>
#include <kernel/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#define VIRTIO_NET_F_MTU (1u << 3)
#define VIRTIO_NET_F_MAC (1u << 5)

#define CONFIG_MAC 0
#define CONFIG_MTU 10

#define RECEIVE_QUEUE  0
#define TRANSMIT_QUEUE 1

#define HEADER_SIZE 10
#define MTU_DEFAULT 1500
#define MTU_LOWEST  68 /* RFC 791 */

/* What a device may write at least: 1514 bytes of frame and a 12-byte header
 * (section 5.1.6.3.1). */
#define BUFFER_LOWEST 1526

/* Buffers in each direction, while the queue has that many descriptors. Frames
 * beyond them wait in the device's back end. */
#define BUFFERS 64u

/* How long net_drain() waits at most. */
#define DRAIN_TIME (NSEC_PER_SEC / 10)

struct buffers {
    uint8_t *memory;
    size_t stride; /* bytes from one buffer to the next */
    unsigned count;
    unsigned head_shift; /* descriptors a chain, as a power of two */
};

struct net_device {
    struct virtio_device *virtio;
    struct virtqueue receive, transmit;
    struct buffers incoming, outgoing;
    unsigned refilled; /* receive buffers offered since the last kick */
    unsigned idle;     /* how many entries of idle_buffers are in use */
    uint16_t idle_buffers[BUFFERS];
    size_t mtu;
    uint8_t address[NET_ADDRESS_SIZE];
};

/* The device wants to be heard by nobody but a sleeper: waking the processor
 * is all there is to do. */
static void on_interrupt(void *arg)
{
    struct net_device *device = arg;
    if (virtio_acknowledge(device->virtio))
        virtqueue_ignore(&device->receive);
}

static void read_configuration(struct net_device *device)
{
    const struct virtio_device *virtio = device->virtio;
    if (virtio->features & VIRTIO_NET_F_MAC) {
        for (unsigned i = 0; i < NET_ADDRESS_SIZE; i++)
            device->address[i] = virtio_config8(virtio, CONFIG_MAC + i);
    } else {
        /* Locally administered, and hardly anybody else's. */
        uint64_t random = rdtsc();
        memcpy(device->address, &random, NET_ADDRESS_SIZE);
        device->address[0] = 0x02;
    }
    device->mtu = MTU_DEFAULT;
    if (virtio->features & VIRTIO_NET_F_MTU) {
        uint16_t mtu = virtio_config16(virtio, CONFIG_MTU);
        if (mtu >= MTU_LOWEST)
            device->mtu = mtu;
    }
}

/* Allocates the buffers of `queue` and describes each of them for good. */
static bool create_buffers(struct buffers *buffers, struct virtqueue *queue,
                           const struct net_device *device, uint16_t flags)
{
    bool any_layout = device->virtio->features & VIRTIO_F_ANY_LAYOUT;
    size_t length = HEADER_SIZE + NET_HEADER_SIZE + device->mtu;
    if (length < BUFFER_LOWEST)
        length = BUFFER_LOWEST;
    buffers->stride = (length + 63) & ~(size_t)63;
    buffers->head_shift = any_layout ? 0 : 1;
    buffers->count = virtqueue_size(queue) >> buffers->head_shift;
    if (buffers->count > BUFFERS)
        buffers->count = BUFFERS;
    buffers->memory = kernel_page_alloc(
        (buffers->count * buffers->stride + PAGE_SIZE - 1) / PAGE_SIZE);
    if (buffers->memory == NULL || buffers->count == 0)
        return false;

    for (unsigned i = 0; i < buffers->count; i++) {
        uint16_t head = (uint16_t)(i << buffers->head_shift);
        uint64_t addr = (uintptr_t)buffers->memory + i * buffers->stride;
        struct virtq_desc *desc = &queue->desc[head];
        if (any_layout) {
            desc[0] = (struct virtq_desc){addr, (uint32_t)length, flags, 0};
            continue;
        }
        desc[0] = (struct virtq_desc){addr, HEADER_SIZE,
                                      flags | VIRTQ_DESC_F_NEXT,
                                      (uint16_t)(head + 1)};
        desc[1] = (struct virtq_desc){addr + HEADER_SIZE,
                                      (uint32_t)(length - HEADER_SIZE), flags,
                                      0};
    }
    return true;
}

static bool bring_up(struct net_device *device)
{
    virtio_begin(device->virtio, VIRTIO_NET_F_MAC | VIRTIO_NET_F_MTU |
                                     VIRTIO_F_ANY_LAYOUT | VIRTIO_F_EVENT_IDX);
    read_configuration(device);
    if (!virtqueue_open(&device->receive, device->virtio, RECEIVE_QUEUE) ||
        !virtqueue_open(&device->transmit, device->virtio, TRANSMIT_QUEUE) ||
        !create_buffers(&device->incoming, &device->receive, device,
                        VIRTQ_DESC_F_WRITE) ||
        !create_buffers(&device->outgoing, &device->transmit, device, 0)) {
        virtio_fail(device->virtio);
        return false;
    }

    for (unsigned i = 0; i < device->incoming.count; i++)
        virtqueue_offer(&device->receive,
                        (uint16_t)(i << device->incoming.head_shift));
    for (unsigned i = 0; i < device->outgoing.count; i++)
        device->idle_buffers[device->idle++] = (uint16_t)i;

    irq_register(device->virtio->irq, on_interrupt, device);
    virtio_go(device->virtio);
    virtqueue_kick(&device->receive);
    return true;
}

struct net_device *net_open(unsigned index)
{
    struct virtio_device *virtio = virtio_find(VIRTIO_TYPE_NET, index);
    if (virtio == NULL)
        return NULL;
    struct net_device *device = calloc(1, sizeof(*device));
    if (device == NULL)
        return NULL;
    device->virtio = virtio;
    return bring_up(device) ? device : NULL;
}

const struct virtio_device *net_virtio(const struct net_device *device)
{
    return device->virtio;
}

const uint8_t *net_address(const struct net_device *device)
{
    return device->address;
}

size_t net_mtu(const struct net_device *device)
{
    return device->mtu;
}

/* Makes the buffers that the device has sent idle again. */
static void collect_sent(struct net_device *device)
{
    while (virtqueue_has_used(&device->transmit)) {
        uint32_t length;
        uint16_t head = virtqueue_take(&device->transmit, &length);
        device->idle_buffers[device->idle++] =
            (uint16_t)(head >> device->outgoing.head_shift);
    }
}

bool net_send(struct net_device *device, const void *frame, size_t length)
{
    struct buffers *outgoing = &device->outgoing;
    if (device->idle == 0)
        collect_sent(device);
    if (device->idle == 0)
        return false;

    uint16_t buffer = device->idle_buffers[--device->idle];
    uint16_t head = (uint16_t)(buffer << outgoing->head_shift);
    struct virtq_desc *desc = &device->transmit.desc[head];
    /* The header in front stays zero: no checksum or segmentation wanted. */
    memcpy(outgoing->memory + buffer * outgoing->stride + HEADER_SIZE, frame,
           length);
    if (outgoing->head_shift == 0)
        desc[0].len = (uint32_t)(HEADER_SIZE + length);
    else
        desc[1].len = (uint32_t)length;
    virtqueue_offer(&device->transmit, head);
    virtqueue_kick(&device->transmit);
    return true;
}

void net_drain(struct net_device *device)
{
    collect_sent(device);
    if (device->idle == device->outgoing.count)
        return;

    uint64_t deadline = clock_monotonic() + DRAIN_TIME;
    uint64_t flags = interrupts_save();
    while (device->idle < device->outgoing.count &&
           clock_monotonic() < deadline) {
        if (!virtqueue_listen(&device->transmit))
            cpu_wait_until(deadline);
        collect_sent(device);
    }
    interrupts_restore(flags);
}

/* Returns a receive buffer to the device. It need be told only now and then: a
 * device that ran dry has used every buffer, so half as many returns follow
 * before the last frame has been read. */
static void refill(struct net_device *device, uint16_t head)
{
    virtqueue_offer(&device->receive, head);
    if (++device->refilled >= (device->incoming.count + 1) / 2) {
        device->refilled = 0;
        virtqueue_kick(&device->receive);
    }
}

size_t net_receive(struct net_device *device, void *to, size_t size)
{
    struct buffers *incoming = &device->incoming;
    while (virtqueue_has_used(&device->receive)) {
        uint32_t written;
        uint16_t head = virtqueue_take(&device->receive, &written);
        size_t length = written - HEADER_SIZE;
        bool fits = written > HEADER_SIZE && length <= size;
        if (fits)
            memcpy(to,
                   incoming->memory +
                       (head >> incoming->head_shift) * incoming->stride +
                       HEADER_SIZE,
                   length);
        refill(device, head);
        if (fits)
            return length;
    }
    return 0;
}

bool net_can_receive(const struct net_device *device)
{
    return virtqueue_has_used(&device->receive);
}

bool net_listen(struct net_device *device)
{
    return virtqueue_listen(&device->receive);
}
