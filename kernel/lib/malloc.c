/* The heap: first fit from a free list in address order
 * (The Art of Computer Programming 2.5, algorithms A and B), on top of the page
 * allocator. Small and predictable; a search is as long as the list. */
#include <kernel/interrupt.h>
#include <kernel/memory.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Before every block, free or not; its size is the alignment that malloc()
 * promises. Sizes are counted in such units, header included. */
struct block {
    size_t units;
    struct block *next; /* the next free one; no meaning while in use */
};

#define UNIT sizeof(struct block)

/* The heap grows by at least so much at a time. */
#define GROWTH_PAGES 16

static struct block *free_blocks;

static void join(struct block *block)
{
    if (block->next && block + block->units == block->next) {
        block->units += block->next->units;
        block->next = block->next->next;
    }
}

static void insert(struct block *freed)
{
    struct block *before = NULL;

    for (struct block *at = free_blocks; at && at < freed; at = at->next)
        before = at;
    freed->next = before ? before->next : free_blocks;
    if (before)
        before->next = freed;
    else
        free_blocks = freed;
    join(freed);
    if (before)
        join(before);
}

static struct block *take(size_t units)
{
    struct block **link = &free_blocks;

    while (*link && (*link)->units < units)
        link = &(*link)->next;

    struct block *block = *link;
    if (block && block->units > units) {
        /* The tail is taken; what is left keeps its place in the list. */
        block->units -= units;
        block += block->units;
        block->units = units;
    } else if (block) {
        *link = block->next;
    }
    return block;
}

static int grow(size_t units)
{
    size_t pages = (units * UNIT + PAGE_SIZE - 1) / PAGE_SIZE;

    if (pages < GROWTH_PAGES)
        pages = GROWTH_PAGES;

    struct block *block = kernel_page_alloc(pages);
    if (!block)
        return 0;
    block->units = pages * PAGE_SIZE / UNIT;
    insert(block);
    return 1;
}

void *malloc(size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;

    size_t units = (size + UNIT - 1) / UNIT + 1;
    uint64_t flags = interrupts_save();
    struct block *block = take(units);

    if (!block && grow(units))
        block = take(units);
    interrupts_restore(flags);
    return block ? block + 1 : NULL;
}

void free(void *memory)
{
    if (!memory)
        return;

    uint64_t flags = interrupts_save();
    insert((struct block *)memory - 1);
    interrupts_restore(flags);
}

void *calloc(size_t count, size_t size)
{
    if (size && count > SIZE_MAX / size)
        return NULL;

    void *memory = malloc(count * size);
    if (memory)
        memset(memory, 0, count * size);
    return memory;
}

void *realloc(void *memory, size_t size)
{
    if (!memory)
        return malloc(size);

    size_t held = (((struct block *)memory)[-1].units - 1) * UNIT;
    if (size <= held)
        return memory;

    void *moved = malloc(size);
    if (moved) {
        memcpy(moved, memory, held);
        free(memory);
    }
    return moved;
}
