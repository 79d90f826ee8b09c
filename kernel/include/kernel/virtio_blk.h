/* Block devices (Virtio 1.2, section 5.2), one request at a time. */
#ifndef KERNEL_VIRTIO_BLK_H
#define KERNEL_VIRTIO_BLK_H

#include <kernel/virtio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct block_device;

/* Brings up block device `index` (from 0, in PCI order). NULL if there is no
 * such device, or it cannot be used. Once per index. */
struct block_device *block_open(unsigned index);

const struct virtio_device *block_virtio(const struct block_device *device);
bool block_is_read_only(const struct block_device *device);

/* Bytes: a whole number of blocks. */
uint64_t block_capacity(const struct block_device *device);

/* Bytes of a block, the unit of transfer: 512, unless the device has larger
 * ones. */
uint32_t block_size(const struct block_device *device);

/* Transfers `length` bytes at byte `offset`, both whole blocks and within the
 * capacity, and waits until the device has done it. False if it failed. */
bool block_read(struct block_device *device, uint64_t offset, void *to,
                uint32_t length);
bool block_write(struct block_device *device, uint64_t offset,
                 const void *from, uint32_t length);

/* Makes all that was written durable, as far as the device can. */
bool block_flush(struct block_device *device);

#endif
