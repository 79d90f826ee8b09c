/* Loads and stores in plain loops, between addresses that are megabytes apart: words, then bytes. */
#include "workloads.h"

#define SIZE   (8u << 20)
#define WORDS  (SIZE / sizeof(uint64_t))
#define ROUNDS 16

uint64_t copy(void)
{
    uint64_t *first = (uint64_t *)arena;
    uint64_t *second = (uint64_t *)(arena + SIZE);
    uint8_t *third = arena + 2 * SIZE;
    uint64_t sum = 0;

    for (uint64_t round = 0; round < ROUNDS; round++) {
        for (unsigned long i = 0; i < WORDS; i++)
            first[i] = round + 0x0101;
        for (unsigned long i = 0; i < WORDS; i++)
            second[i] = first[i];
        for (unsigned long i = 0; i < SIZE / 2; i++)
            third[i] = arena[i];
        sum += second[77] + third[88];
    }
    return sum;
}
