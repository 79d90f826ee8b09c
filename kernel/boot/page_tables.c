/* The kernel's page tables: linear addresses are physical addresses, and only
 * memory that exists is mapped.
 *
 *   0          to 1 MiB          nothing: null pointers, BIOS, video memory
 *   1 MiB      to memory_start   4 KiB pages: loader and kernel with the
 *                                protection of their segments, these tables,
 *                                one missing page, the stack
 *   memory_start to memory_end   2 MiB pages
 *
 * The tables lie right behind the kernel's image, in one block: the PML4, the
 * page directory pointers, the directories, the tables of 4 KiB pages. All the
 * directories together are one array of 2 MiB entries, all the tables one
 * array of 4 KiB entries. */
#include "loader.h"

#define ENTRIES_PER_TABLE 512u
#define GIB               (1024 * MIB)

/* The stack gets what is left of its 2 MiB, and no less than this. */
#define STACK_MINIMUM (512 * KIB)

/* Intel SDM vol. 3A, tables 4-15 to 4-20. Accessed and dirty are set in
 * advance: the processor need not write them. */
#define PRESENT  0x001ull
#define WRITABLE 0x002ull
#define ACCESSED 0x020ull
#define DIRTY    0x040ull
#define LARGE    0x080ull
#define NX       0x8000000000000000ull

#define TABLE     (PRESENT | WRITABLE | ACCESSED)
#define READ_ONLY (PRESENT | ACCESSED | DIRTY)
#define DATA      (READ_ONLY | WRITABLE)

static void clear_entries(uint64_t *entries, uint32_t count)
{
    uint32_t words = 2 * count;

    __asm__ volatile("rep stosl"
                     : "+D"(entries), "+c"(words) : "a"(0) : "memory");
}

/* Fills `count` entries with consecutive pages of `step` bytes. */
static void fill_entries(uint64_t *entries, uint32_t count, uint32_t address,
                         uint32_t step, uint64_t flags)
{
    /* The halves apart: all addresses are below 4 GiB, so the upper half is
     * the same in every entry. */
    uint32_t *halves = (uint32_t *)entries;
    uint32_t low = address | (uint32_t)flags;
    uint32_t high = (uint32_t)(flags >> 32);

    for (; count; count--, low += step) {
        *halves++ = low;
        *halves++ = high;
    }
}

/* Gives the 4 KiB pages that hold start to end (not inclusive) these flags. */
static void protect(uint64_t *small_pages, uint32_t start, uint32_t end,
                    uint64_t flags)
{
    uint32_t first = start / PAGE_SIZE;
    uint32_t count = (end - 1) / PAGE_SIZE - first + 1;

    fill_entries(small_pages + first, count, first * PAGE_SIZE, PAGE_SIZE,
                 flags);
}

static void protect_images(uint64_t *small_pages, uint64_t nx)
{
    protect(small_pages, (uint32_t)loader_start, (uint32_t)loader_text_end,
            READ_ONLY);
    for (int i = 0; i < kernel_segment_count; i++) {
        const struct elf64_segment *segment = &kernel_segments[i];

        protect(small_pages, (uint32_t)segment->paddr,
                (uint32_t)(segment->paddr + segment->memsz),
                (segment->flags & PF_W ? DATA : READ_ONLY) |
                    (segment->flags & PF_X ? 0 : nx));
    }
}

uint32_t page_tables_build(struct boot_info *boot_info, uint32_t image_end,
                           uint32_t memory_end, bool no_execute)
{
    uint64_t nx = no_execute ? NX : 0;
    uint32_t tables = round_up(image_end, PAGE_SIZE);
    uint32_t directory_count, table_count, tables_size, memory_start;

    /* How much the tables map depends on where they end: each 2 MiB that
     * image, tables and stack reach into takes one table more. */
    memory_end = memory_end / LARGE_PAGE_SIZE * LARGE_PAGE_SIZE;
    directory_count = (memory_end - 1) / GIB + 1;
    table_count = tables / LARGE_PAGE_SIZE;
    do {
        table_count++;
        tables_size = (2 + directory_count + table_count) * PAGE_SIZE;
        memory_start = table_count * LARGE_PAGE_SIZE;
    } while (tables + tables_size + PAGE_SIZE + STACK_MINIMUM > memory_start);
    if (memory_start >= memory_end)
        fail("too little memory for this kernel");

    uint64_t *pml4 = (uint64_t *)tables;
    uint64_t *pointers = pml4 + ENTRIES_PER_TABLE;
    uint64_t *large_pages = pointers + ENTRIES_PER_TABLE;
    uint64_t *small_pages = large_pages + directory_count * ENTRIES_PER_TABLE;

    clear_entries(pml4, 2 * ENTRIES_PER_TABLE);
    fill_entries(pml4, 1, (uint32_t)pointers, 0, TABLE);
    fill_entries(pointers, directory_count, (uint32_t)large_pages, PAGE_SIZE,
                 TABLE);

    uint32_t large_end = memory_end / LARGE_PAGE_SIZE;
    fill_entries(large_pages, table_count, (uint32_t)small_pages, PAGE_SIZE,
                 TABLE);
    fill_entries(large_pages + table_count, large_end - table_count,
                 memory_start, LARGE_PAGE_SIZE, DATA | LARGE | nx);
    clear_entries(large_pages + large_end,
                  directory_count * ENTRIES_PER_TABLE - large_end);

    uint32_t guard_page = tables + tables_size;
    clear_entries(small_pages, MIB / PAGE_SIZE);
    protect(small_pages, MIB, memory_start, DATA | nx);
    protect_images(small_pages, nx);
    clear_entries(small_pages + guard_page / PAGE_SIZE, 1);

    boot_info->memory_start = memory_start;
    boot_info->memory_end = memory_end;
    boot_info->stack_bottom = guard_page + PAGE_SIZE;
    boot_info->stack_top = memory_start;
    return tables;
}
