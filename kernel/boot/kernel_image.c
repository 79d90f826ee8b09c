/* Puts the segments of the kernel, an ELF64 executable, where they belong.
 *
 * The kernel file is laid out so that its bytes are in place as they are when
 * the whole file lies at p_paddr - p_offset. A monitor that loads modules
 * itself puts it there and nothing is copied; others put it where they like,
 * possibly across the place where it has to go. */
#include "loader.h"

#define MAX_SEGMENTS 8

/* Copies of the program headers: the originals may be overwritten. */
struct elf64_segment kernel_segments[MAX_SEGMENTS];
int kernel_segment_count;
uint32_t kernel_entry;

static void copy_forwards(uint32_t to, uint32_t from, uint32_t size)
{
    uint32_t words = size / 4, rest = size % 4;

    __asm__ volatile("rep movsl"
                     : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    __asm__ volatile("rep movsb"
                     : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
}

static void zero(uint32_t to, uint32_t size)
{
    uint32_t bytes = size % 4, words = size / 4;

    __asm__ volatile("rep stosb"
                     : "+D"(to), "+c"(bytes) : "a"(0) : "memory");
    __asm__ volatile("rep stosl"
                     : "+D"(to), "+c"(words) : "a"(0) : "memory");
}

/* Reads and checks the headers; returns the end of the image. */
static uint32_t read_headers(uint32_t file, uint32_t size, uint32_t memory_end)
{
    const struct elf64_header *header = (const void *)file;
    uint32_t image_end = 0;

    if (size < sizeof(*header) || *(const uint32_t *)header->ident != ELF_MAGIC)
        fail("the first module is not an ELF file");
    if (header->ident[EI_CLASS] != ELFCLASS64 || header->machine != EM_X86_64)
        fail("the first module is not an x86-64 kernel");
    if (header->phentsize != sizeof(struct elf64_segment) ||
        header->phoff >= size ||
        header->phnum * sizeof(struct elf64_segment) > size - header->phoff)
        fail("the kernel's program headers are damaged");

    const struct elf64_segment *segment =
        (const void *)(file + (uint32_t)header->phoff);
    for (int i = 0; i < header->phnum; i++, segment++) {
        if (segment->type != PT_LOAD || segment->memsz == 0)
            continue;
        if (segment->filesz > segment->memsz || segment->filesz > size ||
            segment->offset > size - segment->filesz)
            fail("the kernel file is cut short");
        if (segment->paddr < (uint32_t)loader_end ||
            segment->paddr >= memory_end ||
            segment->memsz > memory_end - segment->paddr)
            fail("the kernel does not fit into memory");
        if (kernel_segment_count == MAX_SEGMENTS)
            fail("the kernel has too many segments");
        kernel_segments[kernel_segment_count++] = *segment;
        if (segment->paddr + segment->memsz > image_end)
            image_end = (uint32_t)(segment->paddr + segment->memsz);
    }
    if (kernel_segment_count == 0)
        fail("the kernel has no segments");
    kernel_entry = (uint32_t)header->entry;
    return image_end;
}

static bool is_in_place(uint32_t file)
{
    for (int i = 0; i < kernel_segment_count; i++) {
        const struct elf64_segment *segment = &kernel_segments[i];

        if (segment->filesz && file + segment->offset != segment->paddr)
            return false;
    }
    return true;
}

/* Moves a file that lies across the kernel's place to after both, so that no
 * copy of a segment can overwrite another one's source. */
static uint32_t move_out_of_the_way(uint32_t file, uint32_t size,
                                    uint32_t image_end, uint32_t memory_end)
{
    uint32_t file_end = file + size;
    uint32_t after = file_end > image_end ? file_end : image_end;

    if (file >= image_end)
        return file;
    after = round_up(after, PAGE_SIZE);
    if (after > memory_end || size > memory_end - after)
        fail("too little memory to unpack the kernel");
    copy_forwards(after, file, size);
    return after;
}

uint32_t kernel_image_load(uint32_t file, uint32_t size, uint32_t memory_end)
{
    uint32_t image_end = read_headers(file, size, memory_end);
    bool in_place = is_in_place(file);

    if (!in_place)
        file = move_out_of_the_way(file, size, image_end, memory_end);
    for (int i = 0; i < kernel_segment_count; i++) {
        const struct elf64_segment *segment = &kernel_segments[i];
        uint32_t to = (uint32_t)segment->paddr;
        uint32_t filled = (uint32_t)segment->filesz;

        if (!in_place)
            copy_forwards(to, file + (uint32_t)segment->offset, filled);
        zero(to + filled, (uint32_t)segment->memsz - filled);
    }
    return image_end;
}
