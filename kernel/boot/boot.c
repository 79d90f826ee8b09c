/* The El Torito boot block, part two: finds the loader and the kernel on the
 * CD, loads both and starts the loader as a Multiboot boot loader would.
 *
 * /boot/grub/menu.lst says which files they are and what their arguments are:
 *
 *     kernel /boot/loader [ARGUMENTS]
 *     module /boot/kernel [ARGUMENTS]
 *
 * Everything has to fit into 2 KiB, so this code is brief where other files
 * are careful: it trusts the disc, but for what a person may have got wrong. */
#include <kernel/elf.h>
#include <kernel/io.h>
#include <kernel/multiboot.h>
#include <stdbool.h>
#include <stddef.h>

#define SECTOR_SIZE         2048u
#define SECTORS_PER_READ    16u
#define SECTOR_BUFFER       ((char *)0x10000)
#define FILE_BUFFER         ((char *)0x20000)
#define FILE_BUFFER_SIZE    0x60000u
#define ONE_MIB             0x100000u
#define PAGE_SIZE           4096u
#define MAX_MEMORY_ENTRIES  64

#define COM1                0x3f8
#define COM1_LSR            (COM1 + 5)
#define LSR_THR_EMPTY       0x20

/* boot_entry.S */
extern struct {
    uint32_t eflags, edi, esi, ebp, esp, ebx, edx, ecx, eax;
} bios_registers;
extern uint8_t boot_drive;
void bios_call(uint32_t vector);
#define regs      bios_registers
#define CARRY     1

static void print(const char *string)
{
    for (; *string; string++) {
        regs.eax = 0x0e00 | (uint8_t)*string; /* teletype output */
        regs.ebx = 7;
        bios_call(0x10);
        /* Bounded: there may be no UART. */
        for (int polls = 0; polls < 0x10000; polls++) {
            if (inb(COM1_LSR) & LSR_THR_EMPTY)
                break;
        }
        outb(COM1, (uint8_t)*string);
    }
}

static _Noreturn void fail(const char *what, const char *problem)
{
    print("\r\nBoot: ");
    print(what);
    print(problem);
    for (;;)
        __asm__ volatile("hlt");
}

static void copy(void *to, const void *from, uint32_t size)
{
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(size) : : "memory");
}

/* Reads the sectors that hold `size` bytes, by way of a buffer that the BIOS
 * can reach (INT 13h AH=42h, Enhanced Disk Drive Specification 3.0). */
static void read(uint32_t sector, void *to, uint32_t size)
{
    static struct {
        uint16_t packet_size, count, offset, segment;
        uint64_t sector;
    } packet;

    while (size) {
        uint32_t part = SECTORS_PER_READ * SECTOR_SIZE;

        if (part > size)
            part = size;
        packet.packet_size = sizeof(packet);
        packet.count = (uint16_t)((part + SECTOR_SIZE - 1) / SECTOR_SIZE);
        packet.segment = (uint32_t)SECTOR_BUFFER >> 4;
        packet.sector = sector;
        regs.eax = 0x4200;
        regs.edx = boot_drive;
        regs.esi = (uint32_t)&packet;
        bios_call(0x13);
        if (regs.eflags & CARRY)
            fail("the CD", " cannot be read");
        copy(to, SECTOR_BUFFER, part);
        to = (char *)to + part;
        size -= part;
        sector += SECTORS_PER_READ;
    }
}

/* A directory record, ECMA-119 9.1: the little-endian halves of the fields. */
struct record {
    uint8_t length, extended_length;
    uint32_t sector, sector_big;
    uint32_t size, size_big;
    uint8_t date[7], flags, unit_size, gap;
    uint32_t volume;
    uint8_t name_length;
    char name[];
} __attribute__((packed));

static bool ends_word(char character)
{
    return (uint8_t)character <= ' ';
}

/* Whether a record's name (LOADER.;1) is the first part of a path (loader). */
static bool is_named(const struct record *record, const char *path)
{
    uint32_t i = 0;

    for (; !ends_word(path[i]) && path[i] != '/'; i++) {
        char difference = record->name[i] ^ path[i];

        /* 0x20 tells upper from lower case. */
        if (i >= record->name_length || (difference & ~0x20))
            return false;
    }
    return i == record->name_length || record->name[i] == ';' ||
           (record->name[i] == '.' &&
            (i + 1 == record->name_length || record->name[i + 1] == ';'));
}

/* Follows a path from the root directory; false if nothing is there. */
static bool find(const char *path, struct record *found)
{
    /* The primary volume descriptor, ECMA-119 8.4, and its root record. */
    read(16, FILE_BUFFER, SECTOR_SIZE);
    copy(found, FILE_BUFFER + 156, sizeof(*found));

    while (*path == '/') {
        char *at = FILE_BUFFER, *end = FILE_BUFFER + found->size;

        path++;
        read(found->sector, FILE_BUFFER, found->size);
        for (;;) {
            struct record *record = (struct record *)at;

            if (at >= end)
                return false;
            if (record->length == 0) {
                /* Records do not cross sectors: zeros fill the rest. */
                at = (char *)(((uint32_t)at | (SECTOR_SIZE - 1)) + 1);
                continue;
            }
            if (is_named(record, path)) {
                copy(found, record, sizeof(*found));
                break;
            }
            at += record->length;
        }
        while (!ends_word(*path) && *path != '/')
            path++;
    }
    return true;
}

static uint32_t find_or_fail(const char *path, struct record *found)
{
    if (!find(path, found))
        fail(path, " is missing on the CD");
    return found->size;
}

#define MENU_SIZE 2048
static char menu[MENU_SIZE + 1];

/* The rest of the line if it starts with this keyword, otherwise NULL. */
static const char *after(const char *keyword, const char *line)
{
    while (*keyword) {
        if (*keyword++ != *line++)
            return NULL;
    }
    while (*line == ' ' || *line == '\t')
        line++;
    return line;
}

/* Makes strings of the menu's lines and takes the first of either kind. */
static void parse_menu(const char **loader, const char **kernel)
{
    for (char *at = menu; *at;) {
        const char *line = after("", at);
        const char *loader_line = after("kernel", line);
        const char *kernel_line = after("module", line);

        while ((uint8_t)*at >= ' ' || *at == '\t')
            at++;
        if (*at)
            *at++ = '\0';
        if (!*loader)
            *loader = loader_line;
        if (!*kernel)
            *kernel = kernel_line;
    }
    if (!*loader)
        *loader = "/boot/loader";
    if (!*kernel)
        *kernel = "/boot/kernel";
}

/* Copies the loader's segments; returns the end of its memory. */
static uint32_t load_elf(const char *file, uint32_t *entry)
{
    const struct elf32_header *header = (const void *)file;
    const struct elf32_segment *segment = (const void *)(file + header->phoff);
    uint32_t end = ONE_MIB;

    if (*(const uint32_t *)header->ident != ELF_MAGIC)
        fail("the loader", " is no ELF file");
    for (int i = 0; i < header->phnum; i++, segment++) {
        if (segment->type != PT_LOAD)
            continue;

        char *to = (char *)segment->paddr;
        uint32_t rest = segment->memsz - segment->filesz;

        copy(to, file + segment->offset, segment->filesz);
        to += segment->filesz;
        __asm__ volatile("rep stosb"
                         : "+D"(to), "+c"(rest) : "a"(0) : "memory");
        if ((uint32_t)to > end)
            end = (uint32_t)to;
    }
    *entry = header->entry;
    return end;
}

static struct multiboot_info info;
static struct multiboot_module module;
static struct multiboot_mmap_entry memory[MAX_MEMORY_ENTRIES];

/* INT 15h AX=E820h (ACPI Specification 6.5, 15.1) gives an entry a call. */
static void read_memory_map(void)
{
    int count = 0;

    regs.ebx = 0;
    do {
        regs.eax = 0xe820;
        regs.ecx = 20;
        regs.edx = 0x534d4150; /* "SMAP" */
        regs.edi = (uint32_t)&memory[count].addr;
        bios_call(0x15);
        if (regs.eflags & CARRY)
            break;
        memory[count].size = 20;
        if (memory[count].addr == 0)
            info.mem_lower = (uint32_t)memory[count].len >> 10;
        if (memory[count].addr == ONE_MIB)
            info.mem_upper = (uint32_t)(memory[count].len >> 10);
        count++;
    } while (regs.ebx && count < MAX_MEMORY_ENTRIES);
    info.mmap_addr = (uint32_t)memory;
    info.mmap_length = (uint32_t)count * sizeof(memory[0]);
}

/* Without the A20 line, odd mebibytes are the even ones once more. */
static void enable_a20(void)
{
    static volatile uint32_t low;
    volatile uint32_t *high = (void *)((uint32_t)&low + ONE_MIB);

    regs.eax = 0x2401;
    bios_call(0x15);
    outb(0x92, (uint8_t)((inb(0x92) | 2) & ~1)); /* bit 0 would reset */
    low = 0;
    *high = 1;
    if (low)
        fail("A20", " stays off");
}

_Noreturn void boot_main(void);
_Noreturn void boot_main(void)
{
    struct record file;
    uint32_t entry;

    enable_a20();
    if (find("/boot/grub/menu.lst", &file))
        read(file.sector, menu, file.size < MENU_SIZE ? file.size : MENU_SIZE);

    const char *loader = NULL, *kernel = NULL;
    parse_menu(&loader, &kernel);

    if (find_or_fail(loader, &file) > FILE_BUFFER_SIZE)
        fail(loader, " is too large");
    read(file.sector, FILE_BUFFER, file.size);
    uint32_t loader_end = load_elf(FILE_BUFFER, &entry);

    module.mod_start = (loader_end + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1);
    module.mod_end = module.mod_start + find_or_fail(kernel, &file);
    module.string = (uint32_t)kernel;
    read(file.sector, (void *)module.mod_start, file.size);

    info.flags = MULTIBOOT_INFO_MEMORY | MULTIBOOT_INFO_CMDLINE |
                 MULTIBOOT_INFO_MODS | MULTIBOOT_INFO_MMAP |
                 MULTIBOOT_INFO_LOADER_NAME;
    info.cmdline = (uint32_t)loader;
    info.mods_count = 1;
    info.mods_addr = (uint32_t)&module;
    info.boot_loader_name = (uint32_t)"solo5.boot";
    read_memory_map();

    __asm__ volatile("jmp *%0"
                     :
                     : "r"(entry), "a"(MULTIBOOT_BOOTLOADER_MAGIC), "b"(&info));
    __builtin_unreachable();
}
