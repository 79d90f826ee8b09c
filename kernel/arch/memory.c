/* Pages. The memory after the loader's mappings is divided once, at start:
 *
 *   memory_start                                            memory_end
 *   | the application's heap                | kernel pages |
 *
 * because the application learns its heap's size before it acquires devices,
 * and drivers need memory when it does. */
#include <kernel/boot_info.h>
#include <kernel/interrupt.h>
#include <kernel/memory.h>
#include <string.h>

#define MIB (1024ul * 1024)

/* The kernel's share: an eighth of memory, within these bounds. */
#define KERNEL_SHARE_MIN (1 * MIB)
#define KERNEL_SHARE_MAX (64 * MIB)

uintptr_t application_heap_start;
size_t application_heap_size;
uintptr_t stack_guard_page;

/* Free memory is a list of runs in the order of their addresses, no two of
 * which touch; each run's description lies in its first page. */
struct run {
    size_t pages;
    struct run *next;
};

static struct run *free_runs;

static size_t kernel_share(size_t size)
{
    size_t share = size / 8 & ~(PAGE_SIZE - 1);

    if (share > KERNEL_SHARE_MAX)
        return KERNEL_SHARE_MAX;
    return share < KERNEL_SHARE_MIN ? KERNEL_SHARE_MIN : share;
}

void memory_init(const struct boot_info *boot_info)
{
    size_t size = boot_info->memory_end - boot_info->memory_start;
    size_t share = kernel_share(size);

    application_heap_start = boot_info->memory_start;
    application_heap_size = size - share;
    stack_guard_page = boot_info->stack_bottom - PAGE_SIZE;
    free_runs = (struct run *)(boot_info->memory_end - share);
    free_runs->pages = share / PAGE_SIZE;
    free_runs->next = NULL;
}

static struct run *run_end(struct run *run)
{
    return (struct run *)((uintptr_t)run + run->pages * PAGE_SIZE);
}

void *kernel_page_alloc(size_t count)
{
    uint64_t flags = interrupts_save();
    struct run **link = &free_runs;
    void *pages = NULL;

    while (*link && (*link)->pages < count)
        link = &(*link)->next;
    if (*link && count > 0) {
        struct run *run = *link;

        /* The tail is taken, so that the list need not change. */
        run->pages -= count;
        pages = run_end(run);
        if (run->pages == 0)
            *link = run->next;
    }
    interrupts_restore(flags);
    if (pages)
        memset(pages, 0, count * PAGE_SIZE);
    return pages;
}

/* Joins `run` with the next one if they touch. */
static void join(struct run *run)
{
    if (run->next && run_end(run) == run->next) {
        run->pages += run->next->pages;
        run->next = run->next->next;
    }
}

void kernel_page_free(void *pages, size_t count)
{
    uint64_t flags = interrupts_save();
    struct run *freed = pages, *before = NULL;

    for (struct run *run = free_runs; run && run < freed; run = run->next)
        before = run;
    freed->pages = count;
    freed->next = before ? before->next : free_runs;
    if (before)
        before->next = freed;
    else
        free_runs = freed;
    join(freed);
    if (before)
        join(before);
    interrupts_restore(flags);
}
