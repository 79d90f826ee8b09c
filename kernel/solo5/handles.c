#include "handles.h"

#include <string.h>

/* Defined by the application's manifest.c, if it has one. */
extern const struct mft1_note __solo5_mft1_note __attribute__((weak));

struct handle {
    char name[MFT_NAME_SIZE];
    mft_type_t type;
    void *device; /* NULL: not acquired */
};

static struct handle handles[MAX_HANDLES];

/* The manifest, or NULL. */
static const struct mft *find_manifest(void)
{
    const struct mft1_note *note = &__solo5_mft1_note;
    /* The compiler must not conclude from the declaration how many entries
     * there are: the application's file has the definition. */
    __asm__("" : "+r"(note));
    return note != NULL && note->m.version == MFT_VERSION ? &note->m : NULL;
}

/* Looks for the name among the manifest's first `entries`. Stores its number
 * and how many of the same type precede it; without it, how many there are. */
static bool find_in_manifest(const struct mft *manifest, unsigned entries,
                             const char *name, mft_type_t type,
                             unsigned *number, unsigned *preceding)
{
    *preceding = 0;
    for (unsigned i = 0; i < entries; i++) {
        const struct mft_entry *entry = &manifest->e[i];
        if (entry->type != type)
            continue;
        if (strncmp(entry->name, name, MFT_NAME_SIZE) == 0) {
            *number = i;
            return true;
        }
        ++*preceding;
    }
    return false;
}

bool handle_choose(const char *name, mft_type_t type, solo5_handle_t *handle,
                   unsigned *device_index)
{
    const struct mft *manifest = find_manifest();
    unsigned entries = manifest != NULL ? manifest->entries : 0;
    unsigned number, index;

    if (entries > MAX_HANDLES)
        entries = MAX_HANDLES;
    if (!find_in_manifest(manifest, entries, name, type, &number, &index)) {
        if (strnlen(name, MFT_NAME_SIZE) > MFT_NAME_MAX)
            return false;
        for (number = entries; number < MAX_HANDLES; number++) {
            if (handles[number].device == NULL)
                break;
            if (handles[number].type != type)
                continue;
            if (strcmp(handles[number].name, name) == 0)
                return false;
            index++;
        }
    }
    if (number == MAX_HANDLES || handles[number].device != NULL)
        return false;
    *handle = number;
    *device_index = index;
    return true;
}

void handle_assign(solo5_handle_t handle, const char *name, mft_type_t type,
                   void *device)
{
    strncpy(handles[handle].name, name, MFT_NAME_MAX);
    handles[handle].type = type;
    handles[handle].device = device;
}

void *handle_device(solo5_handle_t handle, mft_type_t type)
{
    if (handle >= MAX_HANDLES || handles[handle].type != type)
        return NULL;
    return handles[handle].device;
}
