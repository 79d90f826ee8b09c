/* PCI functions and their configuration space (PCI Local Bus 3.0, ch. 6). */
#ifndef KERNEL_PCI_H
#define KERNEL_PCI_H

#include <stdbool.h>
#include <stdint.h>

#define PCI_COMMAND              0x04
#define PCI_COMMAND_IO           (1u << 0)
#define PCI_COMMAND_BUS_MASTER   (1u << 2)
#define PCI_COMMAND_INTX_DISABLE (1u << 10)
#define PCI_HEADER_TYPE          0x0e
#define PCI_BAR0                 0x10
#define PCI_SUBSYSTEM_ID         0x2e
#define PCI_INTERRUPT_LINE       0x3c

struct pci_function {
    uint8_t bus, slot, function;
    uint16_t vendor_id, device_id;
};

/* Reads from and writes to configuration space; `offset` is a multiple of the
 * width. */
uint8_t pci_read8(const struct pci_function *pci, uint8_t offset);
uint16_t pci_read16(const struct pci_function *pci, uint8_t offset);
uint32_t pci_read32(const struct pci_function *pci, uint8_t offset);
void pci_write16(const struct pci_function *pci, uint8_t offset,
                 uint16_t value);

/* Calls `found` for every function on the root bus and behind its bridges, in
 * the order of bus, slot and function numbers. Bus numbers must have been
 * given to the bridges, as firmware does. */
void pci_scan(void (*found)(const struct pci_function *pci));

/* Returns the first I/O port of BAR 0, or 0 if that is not an I/O BAR. */
uint16_t pci_io_base(const struct pci_function *pci);

/* Lets the function decode its ports, access memory, and interrupt by INTx:
 * message-signalled interrupts are switched off. */
void pci_enable(const struct pci_function *pci);

#endif
