/*
 * The application manifest, format MFT1: which devices an application wants,
 * by name. A tool generates manifest.c from manifest.json; it defines
 * MFT_ENTRIES, includes this file and puts the entries between
 * MFT1_NOTE_DECLARE_BEGIN and MFT1_NOTE_DECLARE_END. The result is an ELF note
 * in the section .note.solo5.manifest. Names and layout are Solo5's (ABI
 * version 1), so such a file compiles here as it is.
 */
#ifndef MFT_ABI_H
#define MFT_ABI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MFT_VERSION 1

/* Device types. Entry 0 of every manifest is a nameless MFT_RESERVED_FIRST. */
typedef enum mft_type {
    MFT_DEV_BLOCK_BASIC = 1,
    MFT_DEV_NET_BASIC = 2,
    MFT_RESERVED_FIRST = 1 << 30
} mft_type_t;

/* What a monitor that attaches a device writes into its entry. This kernel
 * asks the devices themselves and leaves the entries as they are; the layout
 * is that of the note all the same. */
struct mft_block_basic {
    uint64_t capacity;   /* bytes */
    uint16_t block_size; /* bytes */
};

struct mft_net_basic {
    uint8_t mac[6];
    uint16_t mtu; /* bytes */
};

#define MFT_NAME_MAX  67                 /* characters */
#define MFT_NAME_SIZE (MFT_NAME_MAX + 1) /* with the terminating zero */

struct mft_entry {
    char name[MFT_NAME_SIZE];
    mft_type_t type;
    union {
        struct mft_block_basic block_basic;
        struct mft_net_basic net_basic;
    } u;
    union {
        int hostfd;
        void *data;
    } b;
    bool attached;
};

/* One bit each in a solo5_handle_set_t. */
#define MFT_MAX_ENTRIES 64

/* The generated file knows the number of entries; whoever reads a manifest
 * sees an array of unstated length. */
#ifdef MFT_ENTRIES
_Static_assert(MFT_ENTRIES >= 1 && MFT_ENTRIES <= MFT_MAX_ENTRIES,
               "a manifest has 1 to 64 entries");
#else
#define MFT_ENTRIES
#endif

struct mft {
    uint32_t version; /* MFT_VERSION */
    uint32_t entries;
    struct mft_entry e[MFT_ENTRIES];
};

#define MFT1_NOTE_NAME "Solo5"
#define MFT1_NOTE_TYPE 0x3154464d /* "MFT1" */

/* The header of the ELF note, its name padded to four bytes. */
struct mft1_nhdr {
    uint32_t n_namesz;
    uint32_t n_descsz;
    uint32_t n_type;
    char n_name[8];
};

struct mft1_note {
    struct mft1_nhdr h;
    struct mft m;
};

_Static_assert(sizeof(struct mft1_nhdr) == 20, "the note's header is packed");
_Static_assert(offsetof(struct mft1_note, m) == 24,
               "the manifest follows the header, aligned to eight bytes");

#define MFT1_NOTE_DECLARE_BEGIN                                               \
    const struct mft1_note __solo5_mft1_note                                  \
        __attribute__((section(".note.solo5.manifest"), aligned(4), used)) = { \
            .h = {.n_namesz = sizeof(MFT1_NOTE_NAME),                         \
                  .n_descsz =                                                 \
                      sizeof(struct mft1_note) - sizeof(struct mft1_nhdr),    \
                  .n_type = MFT1_NOTE_TYPE,                                   \
                  .n_name = MFT1_NOTE_NAME},                                  \
            .m =

#define MFT1_NOTE_DECLARE_END                                                 \
    }                                                                         \
    ;

#endif
