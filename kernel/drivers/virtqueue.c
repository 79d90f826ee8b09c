/*
 * Split virtqueues of the legacy interface (Virtio 1.2, sections 2.7 and
 * 4.1.5.1.3). The device fixes the number of entries; one contiguous piece of
 * memory holds, for a queue of N:
 *
 *     0             N descriptors of 16 bytes
 *     16 N          available ring: flags, idx, N heads, used_event
 *     next page     used ring: flags, idx, N elements of 8 bytes, avail_event
 *
 * used_event and avail_event, the halves of EVENT_IDX (section 2.7.10), say at
 * which index the other side wants to be told.
 */
#include <kernel/io.h>
#include <kernel/memory.h>
#include <kernel/virtio.h>
#include <stddef.h>

#define QUEUE_ADDRESS 8 /* page number */
#define QUEUE_SIZE    12
#define QUEUE_SELECT  14
#define QUEUE_NOTIFY  16

#define USED_F_NO_NOTIFY  1
#define USED_ELEMENT_SIZE 8

static size_t round_to_page(size_t bytes)
{
    return (bytes + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
}

bool virtqueue_open(struct virtqueue *queue, const struct virtio_device *device,
                    uint16_t number)
{
    outw(device->io + QUEUE_SELECT, number);
    size_t size = inw(device->io + QUEUE_SIZE);
    if (size == 0 || (size & (size - 1)) != 0)
        return false;

    size_t used_offset = round_to_page(size * sizeof(struct virtq_desc) +
                                       (3 + size) * sizeof(uint16_t));
    size_t avail_event_offset =
        used_offset + sizeof(struct virtq_used) + size * USED_ELEMENT_SIZE;
    size_t bytes = avail_event_offset + sizeof(uint16_t);
    uint8_t *memory = kernel_page_alloc(round_to_page(bytes) / PAGE_SIZE);
    if (memory == NULL)
        return false;

    *queue = (struct virtqueue){
        .desc = (struct virtq_desc *)memory,
        .avail = (struct virtq_avail *)(memory +
                                        size * sizeof(struct virtq_desc)),
        .used = (volatile struct virtq_used *)(memory + used_offset),
        .avail_event = (volatile uint16_t *)(memory + avail_event_offset),
        .mask = (uint16_t)(size - 1),
        .event_idx = (device->features & VIRTIO_F_EVENT_IDX) != 0,
        .number = number,
        .notify_port = (uint16_t)(device->io + QUEUE_NOTIFY),
    };
    queue->used_event = &queue->avail->ring[size];
    /* The index just passed is the one that comes up last. */
    *queue->used_event = (uint16_t)-1;
    virtqueue_ignore(queue);
    outl(device->io + QUEUE_ADDRESS, (uint32_t)((uintptr_t)memory / PAGE_SIZE));
    return true;
}

void virtqueue_kick(struct virtqueue *queue)
{
    /* The index must be visible before the device's wish is read, or both
     * sides could decide that the other one knows. */
    memory_barrier();
    uint16_t before = queue->kicked;
    uint16_t now = queue->offered;
    queue->kicked = now;
    if (queue->event_idx) {
        /* Has the index passed avail_event since the last time? */
        if ((uint16_t)(now - *queue->avail_event - 1) >=
            (uint16_t)(now - before))
            return;
    } else if (queue->used->flags & USED_F_NO_NOTIFY) {
        return;
    }
    outw(queue->notify_port, queue->number);
}

bool virtqueue_listen(struct virtqueue *queue)
{
    if (queue->event_idx)
        *queue->used_event = queue->taken;
    else
        *(volatile uint16_t *)&queue->avail->flags = 0;
    /* The request must be visible before the index is read. */
    memory_barrier();
    return virtqueue_has_used(queue);
}
