/* The descriptor table that the kernel runs on, and its task state segment. */
#include "loader.h"

struct task_state task_state = {
    /* No I/O permission map: its base lies at the segment's end. */
    .io_map_base = sizeof(struct task_state),
};

/* Segment descriptors (Intel SDM vol. 3A, 3.4.5). Base and limit are ignored in
 * 64-bit mode; the accessed bits are set so that loading a selector does not
 * write here. The TSS descriptor takes two entries and gets its base, which
 * a constant expression cannot split, from gdt_prepare(). */
#define CODE64 0x00209b0000000000ull /* L, present, execute, read, accessed */
#define DATA   0x0000930000000000ull /* present, write, accessed */
#define TSS64  0x0000890000000000ull /* present, available 64-bit TSS */

static uint64_t gdt[] = {
    [0] = 0,
    [SELECTOR_CODE64 / 8] = CODE64,
    [SELECTOR_DATA / 8] = DATA,
    [SELECTOR_TSS / 8] = TSS64 | (sizeof(struct task_state) - 1),
    [SELECTOR_TSS / 8 + 1] = 0, /* bits 32 to 63 of the base */
};

const struct {
    uint16_t limit;
    uint32_t base;
} __attribute__((packed)) gdt_pointer = {
    .limit = sizeof(gdt) - 1,
    .base = (uint32_t)gdt,
};

void gdt_prepare(void)
{
    uint64_t base = (uint32_t)&task_state;

    gdt[SELECTOR_TSS / 8] |= (base & 0xffffff) << 16 | (base >> 24) << 56;
}
