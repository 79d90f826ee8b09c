/* Causes the exception that its argument names, for a look at the report:
 *
 *     divide        a division by zero (vector 0)
 *     opcode        an undefined instruction (vector 6)
 *     protection    a load from a non-canonical address (vector 13)
 *     null          a store through a null pointer (vector 14)
 *     page-fault    a load from where no memory is (vector 14)
 *     write-text    a store into the program's instructions (vector 14)
 *     execute-data  a call into a variable (vector 14)
 *     stack         endless recursion, down to the page that is not there
 *
 * Without an argument it prints these names and ends with status 1. With one
 * it ends with status 255, unless the exception fails to come. */
#include <solo5.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Compilers must not see through what is wrong with these accesses. */
static volatile uint32_t zero;
static volatile uintptr_t null_address;
static volatile uintptr_t unmapped_address = 0x400000000;
static volatile uintptr_t non_canonical_address = 0x8000000000000000;

/* The bytes of a RET, in memory that is data. */
static uint8_t data_with_code[] = {0xc3};

static void divide(void)
{
    zero = 1000 / zero;
}

static void opcode(void)
{
    __asm__ volatile("ud2");
}

static void protection(void)
{
    (void)*(volatile uint8_t *)non_canonical_address;
}

static void null(void)
{
    *(volatile uint8_t *)null_address = 1;
}

static void page_fault(void)
{
    (void)*(volatile uint8_t *)unmapped_address;
}

static void write_text(void)
{
    *(volatile uint8_t *)(uintptr_t)&solo5_app_main = 0xc3;
}

static void execute_data(void)
{
    void (*volatile function)(void) =
        (void (*)(void))(uintptr_t)data_with_code;

    function();
}

/* The volatile array keeps each call's frame, and the sum after the call keeps
 * it from becoming a loop. */
static uint32_t recurse(uint32_t depth)
{
    volatile uint32_t frame[64];

    frame[depth % 64] = depth;
    return zero ? depth : recurse(depth + 1) + frame[depth % 64];
}

static void stack(void)
{
    zero = 0;
    recurse(0);
}

static const struct {
    const char *name;
    void (*cause)(void);
} exceptions[] = {
    {"divide", divide},
    {"opcode", opcode},
    {"protection", protection},
    {"null", null},
    {"page-fault", page_fault},
    {"write-text", write_text},
    {"execute-data", execute_data},
    {"stack", stack},
};

#define COUNT (sizeof(exceptions) / sizeof(exceptions[0]))

int solo5_app_main(const struct solo5_start_info *info)
{
    for (size_t i = 0; i < COUNT; i++) {
        if (strcmp(info->cmdline, exceptions[i].name) == 0) {
            printf("Causing: %s\n", exceptions[i].name);
            exceptions[i].cause();
            printf("The exception did not come.\n");
            return SOLO5_EXIT_FAILURE;
        }
    }
    printf("One argument, please:");
    for (size_t i = 0; i < COUNT; i++)
        printf(" %s", exceptions[i].name);
    printf("\n");
    return SOLO5_EXIT_FAILURE;
}
