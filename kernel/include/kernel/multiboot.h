/* Multiboot 1: the parts of the Multiboot Specification 0.6.96 in use here.
 * The boot block writes these structures and the loader reads them. */
#ifndef KERNEL_MULTIBOOT_H
#define KERNEL_MULTIBOOT_H

/* 3.1.1: the header, in the first 8 KiB of the file. */
#define MULTIBOOT_HEADER_MAGIC 0x1badb002
#define MULTIBOOT_PAGE_ALIGN   (1 << 0)
#define MULTIBOOT_MEMORY_INFO  (1 << 1)

/* 3.2: what EAX holds at entry. */
#define MULTIBOOT_BOOTLOADER_MAGIC 0x2badb002

/* 3.3: which fields of multiboot_info are valid. */
#define MULTIBOOT_INFO_MEMORY      (1 << 0)
#define MULTIBOOT_INFO_CMDLINE     (1 << 2)
#define MULTIBOOT_INFO_MODS        (1 << 3)
#define MULTIBOOT_INFO_MMAP        (1 << 6)
#define MULTIBOOT_INFO_LOADER_NAME (1 << 9)

#define MULTIBOOT_MEMORY_AVAILABLE 1

#ifndef __ASSEMBLER__
#include <stdint.h>

struct multiboot_info {
    uint32_t flags;
    uint32_t mem_lower; /* KiB from 0 */
    uint32_t mem_upper; /* KiB from 1 MiB, up to the first hole */
    uint32_t boot_device;
    uint32_t cmdline;
    uint32_t mods_count;
    uint32_t mods_addr;
    uint32_t syms[4];
    uint32_t mmap_length;
    uint32_t mmap_addr;
    uint32_t drives_length;
    uint32_t drives_addr;
    uint32_t config_table;
    uint32_t boot_loader_name;
};

struct multiboot_module {
    uint32_t mod_start;
    uint32_t mod_end; /* first byte after */
    uint32_t string;
    uint32_t reserved;
};

/* `size` counts the bytes after itself: entries may be longer than this. */
struct multiboot_mmap_entry {
    uint32_t size;
    uint64_t addr;
    uint64_t len;
    uint32_t type;
} __attribute__((packed));
#endif

#endif
