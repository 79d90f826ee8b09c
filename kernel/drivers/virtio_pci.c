/*
 * The legacy PCI transport of virtio (Virtio 1.2, section 4.1.4.8): a block of
 * I/O ports in BAR 0. Registers have the guest's byte order.
 */
#include <kernel/io.h>
#include <kernel/virtio.h>
#include <stddef.h>

#define VIRTIO_VENDOR 0x1af4

/* Transitional devices; 0x1040 upwards have no legacy interface. */
#define TRANSITIONAL_FIRST 0x1000
#define TRANSITIONAL_LAST  0x103f

#define HOST_FEATURES  0
#define GUEST_FEATURES 4
#define DEVICE_STATUS  18
#define ISR_STATUS     19
#define DEVICE_CONFIG  20 /* while MSI-X is off */

#define STATUS_RESET       0
#define STATUS_ACKNOWLEDGE 1
#define STATUS_DRIVER      2
#define STATUS_DRIVER_OK   4
#define STATUS_FAILED      128

#define ISR_QUEUE 1

#define IRQ_LINES 16

/* As many as solo5_handle_set_t has bits. */
#define MAX_DEVICES 64

static struct virtio_device devices[MAX_DEVICES];
static unsigned device_count;

static void add_device(const struct pci_function *pci)
{
    if (pci->vendor_id != VIRTIO_VENDOR ||
        pci->device_id < TRANSITIONAL_FIRST ||
        pci->device_id > TRANSITIONAL_LAST || device_count == MAX_DEVICES)
        return;

    struct virtio_device *device = &devices[device_count];
    device->pci = *pci;
    device->type = pci_read16(pci, PCI_SUBSYSTEM_ID);
    device->io = pci_io_base(pci);
    device->irq = pci_read8(pci, PCI_INTERRUPT_LINE);
    if (device->io == 0 || device->irq >= IRQ_LINES)
        return;

    pci_enable(pci);
    outb(device->io + DEVICE_STATUS, STATUS_RESET);
    device_count++;
}

struct virtio_device *virtio_find(uint16_t type, unsigned index)
{
    static bool scanned;
    if (!scanned) {
        scanned = true;
        pci_scan(add_device);
    }
    for (unsigned i = 0; i < device_count; i++)
        if (devices[i].type == type && index-- == 0)
            return &devices[i];
    return NULL;
}

void virtio_begin(struct virtio_device *device, uint32_t wanted)
{
    uint16_t io = device->io;
    outb(io + DEVICE_STATUS, STATUS_ACKNOWLEDGE);
    outb(io + DEVICE_STATUS, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    device->features = inl(io + HOST_FEATURES) & wanted;
    outl(io + GUEST_FEATURES, device->features);
}

void virtio_go(const struct virtio_device *device)
{
    outb(device->io + DEVICE_STATUS,
         STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_DRIVER_OK);
}

void virtio_fail(const struct virtio_device *device)
{
    outb(device->io + DEVICE_STATUS,
         STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FAILED);
}

uint8_t virtio_config8(const struct virtio_device *device, unsigned offset)
{
    return inb((uint16_t)(device->io + DEVICE_CONFIG + offset));
}

uint16_t virtio_config16(const struct virtio_device *device, unsigned offset)
{
    return inw((uint16_t)(device->io + DEVICE_CONFIG + offset));
}

uint32_t virtio_config32(const struct virtio_device *device, unsigned offset)
{
    return inl((uint16_t)(device->io + DEVICE_CONFIG + offset));
}

bool virtio_acknowledge(const struct virtio_device *device)
{
    return inb(device->io + ISR_STATUS) & ISR_QUEUE;
}
