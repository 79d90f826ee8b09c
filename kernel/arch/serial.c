#include <kernel/io.h>
#include <kernel/serial.h>
#include <stdint.h>

/* Registers of the 16550 (National PC16550D data sheet, section 8). */
#define COM1 0x3f8
#define THR  (COM1 + 0) /* transmit holding; divisor low while DLAB is set */
#define IER  (COM1 + 1) /* interrupt enable; divisor high while DLAB is set */
#define FCR  (COM1 + 2) /* FIFO control, written */
#define IIR  (COM1 + 2) /* interrupt identification, read */
#define LCR  (COM1 + 3)
#define MCR  (COM1 + 4)
#define LSR  (COM1 + 5)

#define FCR_ENABLE_AND_CLEAR 0x07
#define IIR_FIFOS            0xc0 /* both bits: working FIFOs, a 16550A */
#define LCR_8N1              0x03
#define LCR_DLAB             0x80
#define MCR_DTR_RTS          0x03
#define LSR_THR_EMPTY        0x20 /* the whole transmit FIFO is empty */
#define LSR_ALL_SENT         0x40

#define FIFO_DEPTH 16

/* A port without a UART reads 0xff, one that hangs never becomes ready: give
 * up after so many polls rather than hang with it. */
#define POLL_LIMIT 100000

static void wait_for(uint8_t lsr_bit)
{
    for (int polls = 0; polls < POLL_LIMIT; polls++) {
        if (inb(LSR) & lsr_bit)
            return;
    }
}

void serial_configure(void)
{
    outb(IER, 0);
    outb(LCR, LCR_DLAB | LCR_8N1);
    outb(THR, 1); /* divisor 1: 115200 baud */
    outb(IER, 0);
    outb(LCR, LCR_8N1);
    outb(FCR, FCR_ENABLE_AND_CLEAR);
    outb(MCR, MCR_DTR_RTS);
}

/* Once the FIFO is empty it takes 16 bytes without another look at the status.
 * `room` is how many it takes still; returns how many after this byte. */
static unsigned send(uint8_t byte, unsigned room)
{
    static unsigned depth;

    if (depth == 0)
        depth = (inb(IIR) & IIR_FIFOS) == IIR_FIFOS ? FIFO_DEPTH : 1;
    if (room == 0) {
        wait_for(LSR_THR_EMPTY);
        room = depth;
    }
    outb(THR, byte);
    return room - 1;
}

void serial_write(const char *bytes, size_t length)
{
    unsigned room = 0;

    for (size_t i = 0; i < length; i++) {
        if (bytes[i] == '\n')
            room = send('\r', room);
        room = send((uint8_t)bytes[i], room);
    }
}

void serial_drain(void)
{
    wait_for(LSR_ALL_SENT);
}
