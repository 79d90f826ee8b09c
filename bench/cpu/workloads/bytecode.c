/* Indirect jumps: an interpreter of a small byte code, 90 million instructions of it. */
#include "workloads.h"

#define REPEATS 8000000u

enum operation { ADD, ADD2, XOR, SUB, SHIFT, ADD_HIGH, OR_LOW, MULTIPLY, IF_ODD, COUNT, RESTART };

/* Operation and two register numbers. */
static const uint8_t program[][3] = {
    {ADD, 1, 1},      {ADD2, 2, 3},   {XOR, 0, 1},      {SUB, 2, 3},   {SHIFT, 1, 2},
    {ADD_HIGH, 3, 1}, {OR_LOW, 2, 0}, {MULTIPLY, 3, 2}, {IF_ODD, 1, 1}, {COUNT, 0, 0},
    {RESTART, 0, 0},
};

uint64_t bytecode(void)
{
    uint64_t r[4] = {1, 2, 3, 4};
    uint64_t steps = 0;
    uint32_t count = 0;
    const uint8_t *at = program[0];

    for (;;) {
        uint8_t operation = at[0], a = at[1] & 3, b = at[2] & 3;

        at += 3;
        steps++;
        switch ((enum operation)operation) {
        case ADD:
        case ADD2:
            r[a] += r[b];
            break;
        case XOR:
            r[a] ^= r[b];
            break;
        case SUB:
            r[a] -= r[b];
            break;
        case SHIFT:
            r[a] = r[a] << 3 | r[b] >> 61;
            break;
        case ADD_HIGH:
            r[a] += r[b] >> 5;
            break;
        case OR_LOW:
            r[a] |= r[b] & 0xff;
            break;
        case MULTIPLY:
            r[a] *= r[b] | 1;
            break;
        case IF_ODD:
            if (r[a] & 1)
                r[b]++;
            break;
        case COUNT:
            if (++count == REPEATS)
                return r[0] ^ r[1] ^ r[2] ^ r[3] ^ steps;
            break;
        case RESTART:
            at = program[0];
            break;
        }
    }
}
