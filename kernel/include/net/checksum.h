/* The Internet checksum (RFC 1071): the complement of the one's complement sum
 * of 16-bit words. The sum is the same in either byte order, so words are taken
 * as they lie in memory. */
#ifndef NET_CHECKSUM_H
#define NET_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

/* Adds `size` bytes at `data` to a sum of less than 2^48. A part that is
 * followed by another must have an even size. */
uint64_t checksum_add(uint64_t sum, const void *data, size_t size);

/* Folds a sum to 16 bits, without complementing it. */
static inline uint16_t checksum_fold(uint64_t sum)
{
    sum = (sum & 0xffffffff) + (sum >> 32);
    sum = (sum & 0xffff) + (sum >> 16);
    sum = (sum & 0xffff) + (sum >> 16);
    return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The checksum of data in which one word has changed from `before` to `after`,
 * by RFC 1624 in its additive form: what the data loses, the checksum gains. */
static inline uint16_t checksum_update(uint16_t checksum, uint16_t before,
                                       uint16_t after)
{
    return checksum_fold((uint64_t)checksum + before + (uint16_t)~after);
}

#endif
