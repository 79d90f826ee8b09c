/* A little of everything: linked lists, matrices, a state machine over text and a checksum bit by
 * bit. */
#include "workloads.h"

#define NODES  256
#define TEXT   4096
#define SIDE   40
#define ROUNDS 400

struct node {
    struct node *next;
    int32_t key, value;
};

static int32_t a[SIDE * SIDE], b[SIDE * SIDE], product[SIDE * SIDE];

/* CRC-16 with the reversed polynomial 0xa001. */
static NOINLINE uint32_t crc16(uint32_t crc, uint32_t data)
{
    for (int i = 0; i < 16; i++) {
        uint32_t bit = (crc ^ data) & 1;

        data >>= 1;
        crc >>= 1;
        if (bit)
            crc ^= 0xa001;
    }
    return crc;
}

static NOINLINE struct node *reverse(struct node *head)
{
    struct node *reversed = 0;

    while (head) {
        struct node *next = head->next;

        head->next = reversed;
        reversed = head;
        head = next;
    }
    return reversed;
}

static NOINLINE int32_t find(const struct node *node, int32_t key)
{
    int32_t passed = 0;

    for (; node && node->key != key; node = node->next)
        passed++;
    return node ? passed + node->value : -passed;
}

static NOINLINE int32_t multiply(void)
{
    int32_t sum = 0;

    for (int i = 0; i < SIDE; i++) {
        for (int j = 0; j < SIDE; j++) {
            int32_t cell = 0;

            for (int n = 0; n < SIDE; n++)
                cell += a[i * SIDE + n] * b[n * SIDE + j];
            product[i * SIDE + j] = cell;
        }
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        sum += product[i] >> 3;
        a[i] = (a[i] + (product[i] & 7)) & 0xff;
    }
    return sum;
}

enum state { BETWEEN, INTEGER, SIGN, FRACTION, EXPONENT, GARBAGE };

static int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* Finds numbers in a text. */
static NOINLINE uint32_t scan(const uint8_t *text, int length)
{
    enum state state = BETWEEN;
    uint32_t count = 0;

    for (int i = 0; i < length; i++) {
        uint8_t c = text[i];

        switch (state) {
        case BETWEEN:
            state = is_digit(c)            ? INTEGER
                    : c == '+' || c == '-' ? SIGN
                    : c == '.'             ? FRACTION
                                           : GARBAGE;
            break;
        case INTEGER:
            if (c == '.') {
                state = FRACTION;
            } else if (c == 'e') {
                state = EXPONENT;
            } else if (!is_digit(c)) {
                state = BETWEEN;
                count++;
            }
            break;
        case SIGN:
            state = is_digit(c) ? INTEGER : c == '.' ? FRACTION : GARBAGE;
            break;
        case FRACTION:
            if (c == 'e') {
                state = EXPONENT;
            } else if (!is_digit(c)) {
                state = BETWEEN;
                count += 3;
            }
            break;
        case EXPONENT:
            state = c == '+' || c == '-' ? SIGN : GARBAGE;
            break;
        case GARBAGE:
            if (c == ',' || c == ' ')
                state = BETWEEN;
            count += 2;
            break;
        }
    }
    return count * 8 + state;
}

uint64_t mix(void)
{
    static const char alphabet[] = "0123456789+-.e, 01234567890123..";
    struct node *nodes = (struct node *)arena;
    uint8_t *text = arena + NODES * sizeof(struct node);
    uint64_t random = 88172645463325252u;
    uint32_t crc = 0;

    for (int i = 0; i < TEXT; i++)
        text[i] = (uint8_t)alphabet[next_random(&random) & 31];
    for (int i = 0; i < NODES; i++) {
        nodes[i].next = i + 1 < NODES ? &nodes[i + 1] : 0;
        nodes[i].key = i * 37 & 0xff;
        nodes[i].value = i;
    }
    for (int i = 0; i < SIDE * SIDE; i++) {
        a[i] = i & 0xff;
        b[i] = i * 7 & 0x7f;
    }

    struct node *head = nodes;

    for (int round = 0; round < ROUNDS; round++) {
        head = reverse(head);
        for (int i = 0; i < 32; i++)
            crc = crc16(crc, (uint32_t)find(head, (round * 7 + i) & 0xff));
        crc = crc16(crc, (uint32_t)multiply());
        crc = crc16(crc, scan(text, TEXT));
        for (int i = 0; i < 256; i++)
            crc = crc16(crc, (uint32_t)product[i]);
    }
    return crc;
}
