#include "block.h"

#include "handles.h"
#include "options.h"

#include <kernel/virtio_blk.h>
#include <stdio.h>

static void describe(const char *name, const struct block_device *device)
{
    const struct virtio_device *virtio = block_virtio(device);
    if (kernel_quiet)
        return;
    printf("%s: virtio-blk at PCI %02x:%02x.%x, irq %u, %lu bytes%s\n", name,
           virtio->pci.bus, virtio->pci.slot, virtio->pci.function,
           virtio->irq, block_capacity(device),
           block_is_read_only(device) ? ", read-only" : "");
}

solo5_result_t solo5_block_acquire(const char *name, solo5_handle_t *handle,
                                   struct solo5_block_info *info)
{
    unsigned index;
    if (!handle_choose(name, MFT_DEV_BLOCK_BASIC, handle, &index))
        return SOLO5_R_EINVAL;
    struct block_device *device = block_open(index);
    if (device == NULL)
        return SOLO5_R_EINVAL;

    handle_assign(*handle, name, MFT_DEV_BLOCK_BASIC, device);
    info->capacity = block_capacity(device);
    info->block_size = block_size(device);
    describe(name, device);
    return SOLO5_R_OK;
}

/* Whole blocks, at least one, within the device. */
static bool is_valid(const struct block_device *device, solo5_off_t offset,
                     size_t size)
{
    uint32_t remainder_mask = block_size(device) - 1;
    return size > 0 && size <= UINT32_MAX && !(size & remainder_mask) &&
           !(offset & remainder_mask) && offset < block_capacity(device) &&
           size <= block_capacity(device) - offset;
}

solo5_result_t solo5_block_write(solo5_handle_t handle, solo5_off_t offset,
                                 const uint8_t *buf, size_t size)
{
    struct block_device *device = handle_device(handle, MFT_DEV_BLOCK_BASIC);
    if (device == NULL || !is_valid(device, offset, size))
        return SOLO5_R_EINVAL;
    return block_write(device, offset, buf, (uint32_t)size) ? SOLO5_R_OK
                                                            : SOLO5_R_EUNSPEC;
}

solo5_result_t solo5_block_read(solo5_handle_t handle, solo5_off_t offset,
                                uint8_t *buf, size_t size)
{
    struct block_device *device = handle_device(handle, MFT_DEV_BLOCK_BASIC);
    if (device == NULL || !is_valid(device, offset, size))
        return SOLO5_R_EINVAL;
    return block_read(device, offset, buf, (uint32_t)size) ? SOLO5_R_OK
                                                           : SOLO5_R_EUNSPEC;
}

void flush_block_devices(void)
{
    for (solo5_handle_t i = 0; i < MAX_HANDLES; i++) {
        struct block_device *device = handle_device(i, MFT_DEV_BLOCK_BASIC);
        if (device != NULL && !block_flush(device))
            printf("virtio-blk: flush failed, data may be lost\n");
    }
}
