/* The host's pages that this process's memory consists of. */
#ifndef SOLO5_KVM_PAGES_H
#define SOLO5_KVM_PAGES_H

#include <stddef.h>
#include <stdint.h>

/*
 * For `count` pages of the host's size from `start`, whether each has ever been written or read:
 * 1 or 0. Of anonymous memory the others are all zeros, and looking at them would allocate them.
 * Returns 0 or a negative errno.
 */
int pages_touched(const void *start, size_t count, uint8_t *touched);

/*
 * Lets the host use large pages for `length` bytes from `start`, where a page begins, once they are
 * touched. Returns 0 or a negative errno: -EINVAL where the kernel has none.
 */
int pages_advise_large(void *start, size_t length);

#endif
