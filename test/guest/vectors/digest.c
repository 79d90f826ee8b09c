/* What a compiler makes of plain loops for x86-64-v3: AVX2, FMA, BMI. A unikernel, or with
 * NATIVE a program of the host, which prints the same. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define COUNT 1024

static uint32_t words[COUNT];
static uint16_t shorts[COUNT];
static uint8_t bytes[COUNT];
static double doubles[COUNT];
static float floats[COUNT];

static uint64_t random_state = 0x9e3779b97f4a7c15u;

static uint64_t next_random(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static void fill(void)
{
    for (int i = 0; i < COUNT; i++) {
        words[i] = (uint32_t)next_random();
        shorts[i] = (uint16_t)next_random();
        bytes[i] = (uint8_t)next_random();
        doubles[i] = (double)(int64_t)next_random() / 3e18;
        floats[i] = (float)(int32_t)next_random() / 7e8f;
    }
}

static uint64_t integers(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < COUNT; i++)
        sum += (uint64_t)words[i] * shorts[i] + (bytes[i] > 100 ? words[i] >> (bytes[i] & 31) : 3);
    for (int i = 0; i < COUNT; i++)
        shorts[i] = (uint16_t)(shorts[i] + (shorts[i] > 0x7000 ? bytes[i] : -bytes[i]));
    for (int i = 0; i < COUNT; i++)
        sum ^= (uint64_t)shorts[i] << (i & 47);
    return sum;
}

static uint64_t bits(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < COUNT; i++) {
        const uint64_t x = (uint64_t)words[i] << 32 | words[COUNT - 1 - i];
        sum += (x & -x) ^ (x & (x - 1)) ^ (~x & sum);
        sum = sum << (x & 63) | sum >> (-x & 63);
        sum += (uint64_t)__builtin_clzll(x | 1) * 3 + (uint64_t)__builtin_ctzll(x | 1) +
               (uint64_t)__builtin_popcountll(x) + __builtin_bswap64(x);
    }
    return sum;
}

static uint64_t image_of(double value)
{
    uint64_t image;
    memcpy(&image, &value, sizeof(image));
    return image;
}

static uint64_t numbers(void)
{
    double sum = 0, product = 1;
    for (int i = 0; i < COUNT; i++) {
        doubles[i] = doubles[i] * doubles[COUNT - 1 - i] + floats[i];
        sum += doubles[i] * floats[i] - product;
        product = product * 0.75 + doubles[i] / 8;
        floats[i] = floats[i] * floats[i] - (float)doubles[i];
    }
    for (int i = 0; i < COUNT; i++)
        sum += floats[i] > 0 ? floats[i] : doubles[i] < product ? -1 : (double)(int32_t)words[i];
    return image_of(sum) ^ image_of(product);
}

#ifdef NATIVE
int main(void)
#else
#include <solo5.h>
int solo5_app_main(const struct solo5_start_info *info)
#endif
{
#ifndef NATIVE
    (void)info;
#endif
    uint64_t results[3] = {0};
    for (int round = 0; round < 300; round++) {
        fill();
        results[0] += integers();
        results[1] += bits();
        results[2] += numbers();
    }
    for (int i = 0; i < 3; i++)
        printf("%lx\n", (unsigned long)results[i]);
    return 0;
}
