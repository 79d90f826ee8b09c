/* Nine pieces of work for a processor. Each returns a checksum of what it did, the same wherever it
 * runs. No library, no system: the same objects are linked into a guest and into a Linux program. */
#ifndef WORKLOADS_H
#define WORKLOADS_H

#include <stdint.h>

#define NOINLINE __attribute__((noinline))

/* Memory that the workloads share. */
#define ARENA_SIZE (24u << 20)
extern uint8_t arena[ARENA_SIZE];

static inline uint32_t rotate_right(uint32_t value, unsigned count)
{
    return value >> count | value << (32 - count);
}

/* Marsaglia's xorshift64 with the triple (13, 7, 17). */
static inline uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

uint64_t mix(void);
uint64_t sieve(void);
uint64_t sha256(void);
uint64_t rep(void);
uint64_t copy(void);
uint64_t quicksort(void);
uint64_t fib(void);
uint64_t bytecode(void);
uint64_t nbody(void);

/* For the start of cold code, and no loop. */
uint64_t cold(void);

#endif
