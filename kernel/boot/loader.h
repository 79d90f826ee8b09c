/* The loader's parts and what they share. Files in the order in which
 * loader_main() uses them. */
#ifndef LOADER_H
#define LOADER_H

#include <kernel/boot_info.h>
#include <kernel/elf.h>
#include <kernel/multiboot.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KIB 1024u
#define MIB (1024u * KIB)

#define PAGE_SIZE       (4 * KIB)
#define LARGE_PAGE_SIZE (2 * MIB)

/* loader.c: called by loader_entry.S. */
_Noreturn void loader_main(uint32_t magic, const struct multiboot_info *info);

/* Ends of the loader's own image, from loader.ld. */
extern char loader_start[], loader_text_end[], loader_end[];

static inline uint32_t round_up(uint32_t value, uint32_t unit)
{
    return (value + unit - 1) / unit * unit;
}

/* print.c */
void print(const char *string);
void print_hex(uint64_t value);
void print_decimal(uint32_t value);
_Noreturn void fail(const char *message);

/* memory_map.c: prints the map and finds the end of the RAM that begins at
 * 1 MiB, as far as 32 bits go. */
uint32_t memory_map_read(const struct multiboot_info *info);

/* command_line.c */
void command_line_build(char *to, const struct multiboot_info *info,
                        const struct multiboot_module *module);

/* kernel_image.c: puts the kernel where it wants to be and returns the first
 * address after it. */
uint32_t kernel_image_load(uint32_t file, uint32_t size, uint32_t memory_end);
extern struct elf64_segment kernel_segments[];
extern int kernel_segment_count;
extern uint32_t kernel_entry;

/* page_tables.c: fills in the addresses of boot_info. */
uint32_t page_tables_build(struct boot_info *boot_info, uint32_t image_end,
                           uint32_t memory_end, bool no_execute);

/* gdt.c */
extern struct task_state task_state;
void gdt_prepare(void);

/* loader_entry.S */
_Noreturn void enter_long_mode(uint32_t entry, struct boot_info *boot_info,
                               uint32_t stack_top, uint32_t page_tables,
                               uint32_t no_execute);

#endif
