/* What the kernel knows of its start and how it ends. */
#ifndef KERNEL_PLATFORM_H
#define KERNEL_PLATFORM_H

#include <kernel/debug_exit.h>

/* The application's arguments, words separated by single spaces; may be
 * empty, is never NULL. */
extern const char *kernel_command_line;

/* Ends the machine with `status` (0 to 255) where the platform can tell its
 * host, otherwise powers off, otherwise halts for ever. */
_Noreturn void platform_exit(int status);

/* Prints "ABORT: " and the formatted message, then exits with EXIT_ABORT. */
_Noreturn void panic(const char *format, ...)
    __attribute__((format(printf, 1, 2)));

/* The Solo5 layer (kernel/solo5): builds the start information, calls
 * solo5_app_main() and exits with what it returns. The last step of the
 * kernel's own start; interrupts are enabled. */
_Noreturn void solo5_start(void);

#endif
