/* String instructions: 8 MiB filled and copied 64 times. */
#include "workloads.h"

#define SIZE   (8u << 20)
#define ROUNDS 64

static void fill(void *to, unsigned long value, unsigned long bytes)
{
    unsigned long words = bytes / sizeof(long);

#ifdef __x86_64__
    __asm__ volatile("rep stosq" : "+D"(to), "+c"(words) : "a"(value) : "memory");
#else
    __asm__ volatile("rep stosl" : "+D"(to), "+c"(words) : "a"(value) : "memory");
#endif
}

static void move(void *to, const void *from, unsigned long bytes)
{
    unsigned long words = bytes / sizeof(long);

#ifdef __x86_64__
    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
#else
    __asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
#endif
}

uint64_t rep(void)
{
    for (unsigned long round = 0; round < ROUNDS; round++) {
        fill(arena, ~0ul / 255 * round, SIZE);
        move(arena + SIZE, arena, SIZE);
    }
    return *(const uint64_t *)(arena + SIZE + SIZE / 2);
}
