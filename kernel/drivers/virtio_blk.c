/*
 * virtio-blk by the legacy interface (Virtio 1.2, section 5.2).
 *
 * A request is a chain of three descriptors: header, data, status byte. There
 * is never more than one, so it always uses descriptors 0 to 2, and the data
 * goes straight to or from the caller's memory.
 */
#include <kernel/clock.h>
#include <kernel/interrupt.h>
#include <kernel/virtio_blk.h>
#include <stdlib.h>

#define VIRTIO_BLK_F_RO       (1u << 5)
#define VIRTIO_BLK_F_BLK_SIZE (1u << 6)
#define VIRTIO_BLK_F_FLUSH    (1u << 9)

#define CONFIG_CAPACITY 0 /* in sectors */
#define CONFIG_BLK_SIZE 20

#define SECTOR_SIZE 512u

#define VIRTIO_BLK_T_IN    0
#define VIRTIO_BLK_T_OUT   1
#define VIRTIO_BLK_T_FLUSH 4

#define VIRTIO_BLK_S_OK 0
#define STATUS_NONE     0xff /* what no device writes */

/* Looks at the used ring before going to sleep. Most devices either answer
 * within the notification or take far longer. */
#define SPINS 50

enum { HEADER, DATA, STATUS, DESCRIPTORS };

struct request_header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
};

struct block_device {
    struct virtio_device *virtio;
    struct virtqueue queue;
    uint64_t capacity;   /* bytes */
    uint32_t block_size; /* bytes */
    bool dirty;          /* written to since the last flush */
    struct request_header header;
    volatile uint8_t status;
};

/* The requester looks at the used ring itself: this only has to wake it. */
static void on_interrupt(void *arg)
{
    struct block_device *device = arg;
    if (virtio_acknowledge(device->virtio))
        virtqueue_ignore(&device->queue);
}

static void read_configuration(struct block_device *device)
{
    const struct virtio_device *virtio = device->virtio;
    uint64_t sectors = virtio_config32(virtio, CONFIG_CAPACITY);
    sectors |= (uint64_t)virtio_config32(virtio, CONFIG_CAPACITY + 4) << 32;

    device->block_size = SECTOR_SIZE;
    if (virtio->features & VIRTIO_BLK_F_BLK_SIZE) {
        uint32_t size = virtio_config32(virtio, CONFIG_BLK_SIZE);
        if (size > SECTOR_SIZE && (size & (size - 1)) == 0)
            device->block_size = size;
    }
    device->capacity =
        sectors * SECTOR_SIZE & ~(uint64_t)(device->block_size - 1);
}

struct block_device *block_open(unsigned index)
{
    struct virtio_device *virtio = virtio_find(VIRTIO_TYPE_BLOCK, index);
    if (virtio == NULL)
        return NULL;
    struct block_device *device = calloc(1, sizeof(*device));
    if (device == NULL)
        return NULL;
    device->virtio = virtio;

    virtio_begin(virtio, VIRTIO_BLK_F_RO | VIRTIO_BLK_F_BLK_SIZE |
                             VIRTIO_BLK_F_FLUSH | VIRTIO_F_EVENT_IDX);
    read_configuration(device);
    if (!virtqueue_open(&device->queue, virtio, 0) ||
        virtqueue_size(&device->queue) < DESCRIPTORS) {
        virtio_fail(virtio);
        return NULL;
    }
    irq_register(virtio->irq, on_interrupt, device);
    virtio_go(virtio);
    return device;
}

const struct virtio_device *block_virtio(const struct block_device *device)
{
    return device->virtio;
}

bool block_is_read_only(const struct block_device *device)
{
    return device->virtio->features & VIRTIO_BLK_F_RO;
}

uint64_t block_capacity(const struct block_device *device)
{
    return device->capacity;
}

uint32_t block_size(const struct block_device *device)
{
    return device->block_size;
}

/* Waits until the device has used the request. */
static void await_completion(struct block_device *device)
{
    for (unsigned i = 0; i < SPINS; i++)
        if (virtqueue_has_used(&device->queue))
            return;

    uint64_t flags = interrupts_save();
    while (!virtqueue_listen(&device->queue))
        cpu_wait_until(CLOCK_FOREVER);
    interrupts_restore(flags);
}

/* Performs one request; `data_flags` says which way the data goes. Without
 * data, the header is followed by the status. */
static bool request(struct block_device *device, uint32_t type, uint64_t offset,
                    const void *data, uint32_t length, uint16_t data_flags)
{
    struct virtq_desc *desc = device->queue.desc;
    device->header = (struct request_header){
        .type = type, .sector = offset / SECTOR_SIZE};
    device->status = STATUS_NONE;

    desc[HEADER] = (struct virtq_desc){
        (uintptr_t)&device->header, sizeof(device->header), VIRTQ_DESC_F_NEXT,
        length > 0 ? DATA : STATUS};
    desc[DATA] = (struct virtq_desc){
        (uintptr_t)data, length, data_flags | VIRTQ_DESC_F_NEXT, STATUS};
    desc[STATUS] = (struct virtq_desc){(uintptr_t)&device->status, 1,
                                       VIRTQ_DESC_F_WRITE, 0};

    virtqueue_offer(&device->queue, HEADER);
    virtqueue_kick(&device->queue);
    await_completion(device);

    uint32_t written;
    virtqueue_take(&device->queue, &written);
    compiler_barrier();
    return device->status == VIRTIO_BLK_S_OK;
}

bool block_read(struct block_device *device, uint64_t offset, void *to,
                uint32_t length)
{
    return request(device, VIRTIO_BLK_T_IN, offset, to, length,
                   VIRTQ_DESC_F_WRITE);
}

bool block_write(struct block_device *device, uint64_t offset,
                 const void *from, uint32_t length)
{
    if (block_is_read_only(device))
        return false;
    device->dirty = true;
    return request(device, VIRTIO_BLK_T_OUT, offset, from, length, 0);
}

bool block_flush(struct block_device *device)
{
    /* Without the feature the device has no volatile cache (5.2.6.2). */
    if (!device->dirty || !(device->virtio->features & VIRTIO_BLK_F_FLUSH))
        return true;
    device->dirty = false;
    return request(device, VIRTIO_BLK_T_FLUSH, 0, NULL, 0, 0);
}
