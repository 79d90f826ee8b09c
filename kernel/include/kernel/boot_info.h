/* What the loader tells the kernel. Both compile this file, one as 32-bit and
 * one as 64-bit code, so every field has a fixed width and addresses are
 * integers. The structure lies in the loader's own memory, which stays as it
 * is while the kernel runs. */
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H

#define COMMAND_LINE_SIZE 4096

/* Segment selectors of the loader's GDT. */
#define SELECTOR_CODE64 0x08
#define SELECTOR_DATA   0x10
#define SELECTOR_TSS    0x18

#ifndef __ASSEMBLER__
#include <stdint.h>

/* The 64-bit task state segment, Intel SDM vol. 3A, 8.7: nothing is left of
 * it but stack pointers. ist[0] is IST1. */
struct task_state {
    uint32_t reserved0;
    uint64_t rsp[3];
    uint64_t reserved1;
    uint64_t ist[7];
    uint64_t reserved2;
    uint16_t reserved3;
    uint16_t io_map_base;
} __attribute__((packed));

struct boot_info {
    uint64_t memory_start; /* first free byte, on a 2 MiB boundary */
    uint64_t memory_end;   /* end of the RAM that is mapped */
    uint64_t task_state;   /* address of the struct task_state */
    uint64_t stack_bottom; /* the page below it is not mapped */
    uint64_t stack_top;
    char command_line[COMMAND_LINE_SIZE];
};
#endif

#endif
