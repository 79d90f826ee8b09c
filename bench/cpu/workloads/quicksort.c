/* Branches that nobody predicts: a million random numbers sorted, four times. */
#include "workloads.h"

#define COUNT  (1 << 20)
#define ROUNDS 4

static NOINLINE void sort(uint64_t *items, long low, long high)
{
    while (low < high) {
        uint64_t pivot = items[(low + high) >> 1];
        long i = low, j = high;

        while (i <= j) {
            while (items[i] < pivot)
                i++;
            while (items[j] > pivot)
                j--;
            if (i <= j) {
                uint64_t item = items[i];

                items[i++] = items[j];
                items[j--] = item;
            }
        }
        /* The smaller part by a call, so that the depth is logarithmic. */
        if (j - low < high - i) {
            sort(items, low, j);
            low = i;
        } else {
            sort(items, i, high);
            high = j;
        }
    }
}

uint64_t quicksort(void)
{
    uint64_t *items = (uint64_t *)arena;
    uint64_t random = 88172645463325252u;
    uint64_t medians = 0;

    for (int round = 0; round < ROUNDS; round++) {
        for (long i = 0; i < COUNT; i++)
            items[i] = next_random(&random);
        sort(items, 0, COUNT - 1);
        for (long i = 1; i < COUNT; i++) {
            if (items[i - 1] > items[i])
                return 0;
        }
        medians ^= items[COUNT / 2];
    }
    return medians;
}
