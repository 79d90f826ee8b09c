#include <kernel/console.h>
#include <solo5.h>

void solo5_console_write(const char *buf, size_t size)
{
    console_write(buf, size);
}
