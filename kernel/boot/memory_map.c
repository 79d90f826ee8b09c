/* The memory map that Multiboot hands over. */
#include "loader.h"

/* The loader is 32-bit code, and PCI devices of most machines live below
 * 4 GiB as well: memory above is left alone. */
#define ADDRESS_LIMIT 0xffe00000ull

static const char *type_name(uint32_t type)
{
    switch (type) {
    case MULTIBOOT_MEMORY_AVAILABLE:
        return " RAM";
    case 3:
        return " ACPI";
    case 4:
        return " ACPI NVS";
    default:
        return " reserved";
    }
}

static void print_entry(const struct multiboot_mmap_entry *entry)
{
    print("  ");
    print_hex(entry->addr);
    print("-");
    print_hex(entry->addr + entry->len - 1);
    print(type_name(entry->type));
    print("\n");
}

/* Where the RAM around 1 MiB ends, if `entry` is that RAM; otherwise 0. */
static uint32_t end_of_main_memory(const struct multiboot_mmap_entry *entry)
{
    uint64_t end = entry->addr + entry->len;

    if (entry->type != MULTIBOOT_MEMORY_AVAILABLE || entry->addr > MIB ||
        end <= MIB)
        return 0;
    return end > ADDRESS_LIMIT ? (uint32_t)ADDRESS_LIMIT : (uint32_t)end;
}

uint32_t memory_map_read(const struct multiboot_info *info)
{
    uint32_t memory_end = 0;

    if (info->flags & MULTIBOOT_INFO_MMAP) {
        uint32_t at = info->mmap_addr;

        while (at - info->mmap_addr < info->mmap_length) {
            const struct multiboot_mmap_entry *entry = (const void *)at;
            uint32_t end = end_of_main_memory(entry);

            print_entry(entry);
            if (end > memory_end)
                memory_end = end;
            at += entry->size + (uint32_t)sizeof(entry->size);
        }
    } else if (info->flags & MULTIBOOT_INFO_MEMORY) {
        uint32_t kib = info->mem_upper;
        uint32_t most = (uint32_t)ADDRESS_LIMIT / KIB - KIB;

        memory_end = MIB + (kib < most ? kib : most) * KIB;
        print("  memory ends at ");
        print_hex(memory_end);
        print("\n");
    }
    if (memory_end == 0)
        fail("the memory map shows no memory at 1 MiB");
    return memory_end;
}
