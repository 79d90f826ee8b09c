/* The end of the machine. */
#include <kernel/console.h>
#include <kernel/debug_exit.h>
#include <kernel/io.h>
#include <kernel/platform.h>
#include <kernel/serial.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

/* SLP_EN with the SLP_TYP of S5, in the PM1a control registers where QEMU's
 * q35 and i440FX, old QEMU and Bochs, and VirtualBox have them. */
static const struct {
    uint16_t port, value;
} power_off_ports[] = {
    {0x604, 0x2000},
    {0xb004, 0x2000},
    {0x4004, 0x3400},
};

_Noreturn void platform_exit(int status)
{
    static const char halted[] = "Halted\n";

    __asm__ volatile("cli");
    serial_drain();
    if (status == 0)
        outw(DEBUG_EXIT, DEBUG_EXIT_SUCCESS);
    else
        outw(DEBUG_EXIT, (uint16_t)(DEBUG_EXIT_FAILURE | (status & 0xff)));
    for (unsigned i = 0; i < sizeof(power_off_ports) / sizeof(*power_off_ports);
         i++)
        outw(power_off_ports[i].port, power_off_ports[i].value);

    console_write(halted, sizeof(halted) - 1);
    for (;;)
        __asm__ volatile("cli; hlt");
}

_Noreturn void panic(const char *format, ...)
{
    va_list arguments;

    printf("ABORT: ");
    va_start(arguments, format);
    vprintf(format, arguments);
    va_end(arguments);
    printf("\n");
    platform_exit(EXIT_ABORT);
}
