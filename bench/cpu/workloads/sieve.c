/* Byte stores with growing strides: the sieve of Eratosthenes over 8 MiB, three times. */
#include "workloads.h"

#define LIMIT (8u << 20)

uint64_t sieve(void)
{
    uint64_t primes = 0;

    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < LIMIT; i++)
            arena[i] = 1;
        for (uint32_t i = 2; i * i < LIMIT; i++) {
            if (!arena[i])
                continue;
            for (uint32_t j = i * i; j < LIMIT; j += i)
                arena[j] = 0;
        }
        primes = 0;
        for (uint32_t i = 2; i < LIMIT; i++)
            primes += arena[i];
    }
    return primes;
}
