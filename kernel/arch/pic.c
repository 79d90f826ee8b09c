/* Intel 8259A data sheet: initialisation words ICW1 to ICW4, operation words
 * OCW1 (the mask) to OCW3. */
#include "pic.h"
#include <kernel/io.h>

#define MASTER_COMMAND 0x20
#define MASTER_DATA    0x21
#define SLAVE_COMMAND  0xa0
#define SLAVE_DATA     0xa1

#define ICW1_INIT_ICW4    0x11
#define ICW4_8086         0x01
#define OCW2_EOI          0x20
#define OCW3_READ_SERVICE 0x0b

#define CASCADE_LINE 2

/* A set bit masks its line. Kept here so that a mask is written, never read. */
static uint16_t mask = 0xffff;

static void write_mask(void)
{
    outb(MASTER_DATA, (uint8_t)mask);
    outb(SLAVE_DATA, (uint8_t)(mask >> 8));
}

void pic_init(void)
{
    outb(MASTER_COMMAND, ICW1_INIT_ICW4);
    outb(MASTER_DATA, PIC_FIRST_VECTOR);
    outb(MASTER_DATA, 1 << CASCADE_LINE);
    outb(MASTER_DATA, ICW4_8086);
    outb(SLAVE_COMMAND, ICW1_INIT_ICW4);
    outb(SLAVE_DATA, PIC_FIRST_VECTOR + 8);
    outb(SLAVE_DATA, CASCADE_LINE);
    outb(SLAVE_DATA, ICW4_8086);
    write_mask();
}

void pic_unmask(int line)
{
    mask &= (uint16_t)~(1u << line);
    if (line >= 8)
        mask &= (uint16_t)~(1u << CASCADE_LINE);
    write_mask();
}

bool pic_is_spurious(int line)
{
    if (line == 7) {
        outb(MASTER_COMMAND, OCW3_READ_SERVICE);
        return !(inb(MASTER_COMMAND) & 0x80);
    }
    if (line == 15) {
        outb(SLAVE_COMMAND, OCW3_READ_SERVICE);
        if (inb(SLAVE_COMMAND) & 0x80)
            return false;
        /* The slave's request was real for the master. */
        outb(MASTER_COMMAND, OCW2_EOI);
        return true;
    }
    return false;
}

void pic_end_of_interrupt(int line)
{
    if (line >= 8)
        outb(SLAVE_COMMAND, OCW2_EOI);
    outb(MASTER_COMMAND, OCW2_EOI);
}
