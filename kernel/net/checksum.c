#include <net/checksum.h>

#include <string.h>

uint64_t checksum_add(uint64_t sum, const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (; size >= sizeof(uint32_t); size -= sizeof(uint32_t)) {
        uint32_t words;
        memcpy(&words, bytes, sizeof(words));
        sum += words;
        bytes += sizeof(words);
    }
    if (size > 0) {
        uint32_t rest = 0;
        memcpy(&rest, bytes, size);
        sum += rest;
    }
    return sum;
}
