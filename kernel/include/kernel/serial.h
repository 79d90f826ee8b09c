/* COM1, a 16550. Compiled twice: for the 32-bit loader, which sets the line
 * up, and for the kernel, which finds it working. */
#ifndef KERNEL_SERIAL_H
#define KERNEL_SERIAL_H

#include <stddef.h>

/* Sets 115200 baud, 8 data bits, no parity, 1 stop bit and the FIFOs. */
void serial_configure(void);

/* Writes `length` bytes; a carriage return is added before each newline. */
void serial_write(const char *bytes, size_t length);

/* Waits until the last bit has left, so that a power-off cannot cut it. */
void serial_drain(void);

#endif
