/*
 * virtio devices on PCI through the legacy interface (Virtio 1.2, section
 * 4.1.4.8): finding them, bringing them up, and their queues. The steps of
 * section 3.1.1, in this order:
 *
 *     virtio_find()      the PCI function is enabled, the device reset
 *     virtio_begin()     ACKNOWLEDGE, DRIVER, features
 *     virtqueue_open()   each queue
 *     virtio_go()        DRIVER_OK: only now may the device be notified
 */
#ifndef KERNEL_VIRTIO_H
#define KERNEL_VIRTIO_H

#include <kernel/cpu.h>
#include <kernel/pci.h>
#include <stdbool.h>
#include <stdint.h>

/* Device types (section 5). */
#define VIRTIO_TYPE_NET   1
#define VIRTIO_TYPE_BLOCK 2

/* Features of every device (section 6). */
#define VIRTIO_F_ANY_LAYOUT (1u << 27)
#define VIRTIO_F_EVENT_IDX  (1u << 29)

struct virtio_device {
    struct pci_function pci;
    uint16_t type;
    uint16_t io;       /* first port of the legacy registers */
    uint8_t irq;       /* line of the 8259 pair */
    uint32_t features; /* negotiated, after virtio_begin() */
};

/* Returns the device of `type` that is number `index` (from 0) in the order of
 * the PCI scan, or NULL. The first call scans, and resets every virtio device:
 * one that firmware left running could hold down a line that others share. */
struct virtio_device *virtio_find(uint16_t type, unsigned index);

/* Accepts those of the `wanted` features that the device offers. */
void virtio_begin(struct virtio_device *device, uint32_t wanted);

/* Declares the device live. */
void virtio_go(const struct virtio_device *device);

/* Tells the device that the driver gave up (status FAILED). */
void virtio_fail(const struct virtio_device *device);

/* Reads the device-specific configuration at byte `offset`. */
uint8_t virtio_config8(const struct virtio_device *device, unsigned offset);
uint16_t virtio_config16(const struct virtio_device *device, unsigned offset);
uint32_t virtio_config32(const struct virtio_device *device, unsigned offset);

/* Reads, and thereby acknowledges, the device's interrupt: true if it was this
 * device that asked. Level-triggered lines are quiet afterwards. */
bool virtio_acknowledge(const struct virtio_device *device);

/* ---- Queues (section 2.7) ------------------------------------------------ */

#define VIRTQ_DESC_F_NEXT  1
#define VIRTQ_DESC_F_WRITE 2 /* the device writes it */

struct virtq_desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

struct virtq_avail {
    uint16_t flags, idx;
    uint16_t ring[];
};

struct virtq_used {
    uint16_t flags, idx;
    struct {
        uint32_t id, len;
    } ring[];
};

/*
 * A split queue. The driver fills descriptors itself, then offers the head of
 * each chain. All indices run freely modulo 2^16, the slot is index & mask.
 */
struct virtqueue {
    struct virtq_desc *desc;
    struct virtq_avail *avail;
    volatile struct virtq_used *used;
    volatile uint16_t *used_event;  /* with EVENT_IDX: when to interrupt */
    volatile uint16_t *avail_event; /* with EVENT_IDX: when to notify */
    uint16_t mask;
    uint16_t offered; /* the driver's copy of avail->idx */
    uint16_t taken;   /* used elements that the driver has seen */
    uint16_t kicked;  /* `offered` when the device was last thought of */
    bool event_idx;
    uint16_t number;
    uint16_t notify_port;
};

/* Gives the device memory for queue `number`. The device sends no interrupts
 * for it until virtqueue_listen(). False if there is no such queue or no
 * memory. After virtio_begin(), before virtio_go(). */
bool virtqueue_open(struct virtqueue *queue, const struct virtio_device *device,
                    uint16_t number);

static inline unsigned virtqueue_size(const struct virtqueue *queue)
{
    return queue->mask + 1u;
}

/* Hands the chain that starts at descriptor `head` to the device, which may use
 * it from now on, notified or not. The first barrier orders the ring entry
 * before the index: x86 keeps stores in order, the compiler need not. */
static inline void virtqueue_offer(struct virtqueue *queue, uint16_t head)
{
    queue->avail->ring[queue->offered & queue->mask] = head;
    compiler_barrier();
    *(volatile uint16_t *)&queue->avail->idx = ++queue->offered;
}

/* Notifies the device of what was offered since the last call, unless it has
 * said that it will look by itself. */
void virtqueue_kick(struct virtqueue *queue);

/* Whether the device has used a chain that virtqueue_take() has not seen. */
static inline bool virtqueue_has_used(const struct virtqueue *queue)
{
    return queue->used->idx != queue->taken;
}

/* Takes the next used chain: returns its head, stores in `*length` how many
 * bytes the device wrote. Only after virtqueue_has_used(); x86 keeps the
 * loads in order. */
static inline uint16_t virtqueue_take(struct virtqueue *queue, uint32_t *length)
{
    compiler_barrier();
    unsigned slot = queue->taken++ & queue->mask;
    *length = queue->used->ring[slot].len;
    return (uint16_t)queue->used->ring[slot].id & queue->mask;
}

/* Asks for an interrupt at the next used chain, then looks once more: true if
 * one is there already, and no interrupt need follow. Without that second look
 * a chain used just before the request would wake nobody. */
bool virtqueue_listen(struct virtqueue *queue);

/* Asks for no more interrupts. With EVENT_IDX there is nothing to do: a request
 * is good for one. */
static inline void virtqueue_ignore(struct virtqueue *queue)
{
    if (!queue->event_idx)
        *(volatile uint16_t *)&queue->avail->flags = 1; /* NO_INTERRUPT */
}

#endif
