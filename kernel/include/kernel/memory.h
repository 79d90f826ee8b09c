/* Physical memory. All RAM that the kernel uses is mapped one to one: a
 * pointer is a physical address, ready to be given to a device. */
#ifndef KERNEL_MEMORY_H
#define KERNEL_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_SIZE 4096ul

/* The part of memory that belongs to the application alone, as
 * solo5_start_info announces it. Neither malloc() nor kernel_page_alloc()
 * ever hands out any of it. Valid after memory_init(). */
extern uintptr_t application_heap_start;
extern size_t application_heap_size;

/* The page below the stack, which is not mapped: the stack cannot grow into
 * other memory unnoticed. */
extern uintptr_t stack_guard_page;

struct boot_info;

/* Divides the memory after the kernel image between the application's heap,
 * the kernel's pages and the stack. Must precede every allocation. */
void memory_init(const struct boot_info *boot_info);

/* Returns `count` contiguous pages, zeroed, or NULL. */
void *kernel_page_alloc(size_t count);

/* Gives back `count` pages from kernel_page_alloc(). */
void kernel_page_free(void *pages, size_t count);

#endif
