/* Network byte order: big-endian, unlike this processor. */
#ifndef NET_BYTE_ORDER_H
#define NET_BYTE_ORDER_H

#include <stdint.h>

/* Each converts both ways; constant arguments make constants. */
#define NETWORK16(value) ((uint16_t)__builtin_bswap16(value))
#define NETWORK32(value) ((uint32_t)__builtin_bswap32(value))

#endif
