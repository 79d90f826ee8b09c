/* ELF, as far as loading a static executable needs it (System V ABI, gABI 4.1,
 * chapters 4 and 5). */
#ifndef KERNEL_ELF_H
#define KERNEL_ELF_H

#include <stdint.h>

#define ELF_MAGIC  0x464c457f /* 0x7f 'E' 'L' 'F', little-endian */
#define ELFCLASS32 1
#define ELFCLASS64 2
#define EI_CLASS   4

#define EM_386    3
#define EM_X86_64 62
#define PT_LOAD   1

#define PF_X 1
#define PF_W 2

struct elf32_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version, entry, phoff, shoff, flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf32_segment {
    uint32_t type, offset, vaddr, paddr, filesz, memsz, flags, align;
};

struct elf64_header {
    uint8_t ident[16];
    uint16_t type, machine;
    uint32_t version;
    uint64_t entry, phoff, shoff;
    uint32_t flags;
    uint16_t ehsize, phentsize, phnum, shentsize, shnum, shstrndx;
};

struct elf64_segment {
    uint32_t type, flags;
    uint64_t offset, vaddr, paddr, filesz, memsz, align;
};

#endif
