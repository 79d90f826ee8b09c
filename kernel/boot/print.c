/* Words and numbers on the serial line, and the loader's only way to fail. */
#include "loader.h"
#include <kernel/debug_exit.h>
#include <kernel/io.h>
#include <kernel/serial.h>

void print(const char *string)
{
    size_t length = 0;

    while (string[length])
        length++;
    serial_write(string, length);
}

void print_hex(uint64_t value)
{
    char digits[16];
    int first = 16;

    do {
        digits[--first] = "0123456789abcdef"[value & 15];
        value >>= 4;
    } while (value);
    serial_write(digits + first, (size_t)(16 - first));
}

void print_decimal(uint32_t value)
{
    char digits[10];
    int first = 10;

    do {
        digits[--first] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    serial_write(digits + first, (size_t)(10 - first));
}

_Noreturn void fail(const char *message)
{
    print("loader: ");
    print(message);
    print("\n");
    outw(DEBUG_EXIT, DEBUG_EXIT_FAILURE | EXIT_ABORT);
    for (;;)
        __asm__ volatile("cli; hlt");
}
