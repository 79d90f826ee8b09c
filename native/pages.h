/* Which pages of this process's memory have been used. */
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

#endif
