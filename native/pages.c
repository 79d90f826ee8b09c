#include "pages.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Linux Documentation/admin-guide/mm/pagemap.rst */
#define PAGE_PRESENT (UINT64_C(1) << 63)
#define PAGE_SWAPPED (UINT64_C(1) << 62)

/* Entries read at once. */
#define BATCH 2048

int pages_touched(const void *start, size_t count, uint8_t *touched)
{
    uint64_t entries[BATCH];
    uint64_t first = (uint64_t)(uintptr_t)start / (uint64_t)sysconf(_SC_PAGESIZE);
    size_t done = 0;
    int result = 0;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    while (done < count && result == 0) {
        size_t wanted = count - done < BATCH ? count - done : BATCH;
        ssize_t got = pread(fd, entries, wanted * sizeof entries[0],
                            (off_t)((first + done) * sizeof entries[0]));

        if (got < (ssize_t)sizeof entries[0]) {
            result = got < 0 ? -errno : -EIO;
            break;
        }
        for (size_t i = 0; i < (size_t)got / sizeof entries[0]; i++)
            touched[done++] = (entries[i] & (PAGE_PRESENT | PAGE_SWAPPED)) != 0;
    }
    close(fd);
    return result;
}

int pages_advise_large(void *start, size_t length)
{
    return madvise(start, length, MADV_HUGEPAGE) < 0 ? -errno : 0;
}
