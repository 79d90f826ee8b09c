/*
 * PCI configuration space, by configuration mechanism 1 (PCI Local Bus 3.0,
 * section 3.2.2.3.2): the address of a register goes to port 0xcf8, its value
 * passes through ports 0xcfc to 0xcff.
 *
 * Each access leaves the virtual machine twice, so the scan asks only where
 * something can be: on bus 0 and on the buses that bridges announce.
 */
#include <kernel/io.h>
#include <kernel/pci.h>

#define CONFIG_ADDRESS 0xcf8
#define CONFIG_DATA    0xcfc
#define CONFIG_ENABLE  (1u << 31)

#define BUSES     256
#define SLOTS     32
#define FUNCTIONS 8

#define NO_VENDOR 0xffff /* what an empty slot reads as */

#define HEADER_MULTI_FUNCTION 0x80
#define HEADER_LAYOUT         0x7f
#define HEADER_LAYOUT_BRIDGE  1
#define BRIDGE_SECONDARY_BUS  0x19

#define STATUS              0x06
#define STATUS_CAPABILITIES (1u << 4)
#define CAPABILITIES        0x34
#define CAPABILITY_MSI      0x05
#define CAPABILITY_MSIX     0x11
#define MSI_CONTROL         2
#define MSI_ENABLE          (1u << 0)
#define MSIX_ENABLE         (1u << 15)
#define CAPABILITIES_MAX    48 /* as many as 192 bytes can hold */

#define BAR_IO      1u
#define BAR_IO_MASK 0xfffcu

static void select(const struct pci_function *pci, uint8_t offset)
{
    outl(CONFIG_ADDRESS, CONFIG_ENABLE | (uint32_t)pci->bus << 16 |
                             (uint32_t)pci->slot << 11 |
                             (uint32_t)pci->function << 8 | (offset & 0xfcu));
}

uint8_t pci_read8(const struct pci_function *pci, uint8_t offset)
{
    select(pci, offset);
    return inb(CONFIG_DATA + (offset & 3));
}

uint16_t pci_read16(const struct pci_function *pci, uint8_t offset)
{
    select(pci, offset);
    return inw(CONFIG_DATA + (offset & 2));
}

uint32_t pci_read32(const struct pci_function *pci, uint8_t offset)
{
    select(pci, offset);
    return inl(CONFIG_DATA);
}

void pci_write16(const struct pci_function *pci, uint8_t offset, uint16_t value)
{
    select(pci, offset);
    outw(CONFIG_DATA + (offset & 2), value);
}

/* Reports the function that `pci` names, if there is one, and marks the bus
 * behind it if it is a bridge. Returns its header type, or 0. */
static uint8_t scan_function(struct pci_function *pci, bool *bus_exists,
                             void (*found)(const struct pci_function *))
{
    uint32_t id = pci_read32(pci, 0);
    pci->vendor_id = (uint16_t)id;
    pci->device_id = (uint16_t)(id >> 16);
    if (pci->vendor_id == NO_VENDOR)
        return 0;

    uint8_t header = pci_read8(pci, PCI_HEADER_TYPE);
    if ((header & HEADER_LAYOUT) == HEADER_LAYOUT_BRIDGE)
        bus_exists[pci_read8(pci, BRIDGE_SECONDARY_BUS)] = true;
    found(pci);
    return header;
}

void pci_scan(void (*found)(const struct pci_function *pci))
{
    /* A bridge's secondary bus has a higher number than its own, so one pass
     * upwards sees every bus after it has been marked. */
    static bool bus_exists[BUSES] = {true};

    for (unsigned bus = 0; bus < BUSES; bus++) {
        if (!bus_exists[bus])
            continue;
        for (unsigned slot = 0; slot < SLOTS; slot++) {
            struct pci_function pci = {.bus = (uint8_t)bus,
                                       .slot = (uint8_t)slot};
            uint8_t header = scan_function(&pci, bus_exists, found);
            if (!(header & HEADER_MULTI_FUNCTION))
                continue;
            for (unsigned function = 1; function < FUNCTIONS; function++) {
                pci.function = (uint8_t)function;
                scan_function(&pci, bus_exists, found);
            }
        }
    }
}

uint16_t pci_io_base(const struct pci_function *pci)
{
    uint32_t bar = pci_read32(pci, PCI_BAR0);
    return bar & BAR_IO ? (uint16_t)(bar & BAR_IO_MASK) : 0;
}

/* Clears the enable bits of MSI and MSI-X, which firmware may have set. */
static void disable_messages(const struct pci_function *pci)
{
    if (!(pci_read16(pci, STATUS) & STATUS_CAPABILITIES))
        return;
    uint8_t offset = pci_read8(pci, CAPABILITIES) & 0xfc;
    for (unsigned seen = 0; offset != 0 && seen < CAPABILITIES_MAX; seen++) {
        uint16_t head = pci_read16(pci, offset);
        uint8_t id = (uint8_t)head;
        if (id == CAPABILITY_MSI || id == CAPABILITY_MSIX) {
            uint16_t enable = id == CAPABILITY_MSI ? MSI_ENABLE : MSIX_ENABLE;
            uint16_t control = pci_read16(pci, offset + MSI_CONTROL);
            if (control & enable)
                pci_write16(pci, offset + MSI_CONTROL,
                            control & (uint16_t)~enable);
        }
        offset = (uint8_t)(head >> 8) & 0xfc;
    }
}

void pci_enable(const struct pci_function *pci)
{
    disable_messages(pci);
    uint16_t command = pci_read16(pci, PCI_COMMAND);
    command |= PCI_COMMAND_IO | PCI_COMMAND_BUS_MASTER;
    command &= (uint16_t)~PCI_COMMAND_INTX_DISABLE;
    pci_write16(pci, PCI_COMMAND, command);
}
