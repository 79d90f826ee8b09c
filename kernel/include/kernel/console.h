/* The console: COM1. printf() of <stdio.h> ends up here. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stddef.h>

/* Writes `length` bytes, whether or not interrupts are enabled. */
void console_write(const char *bytes, size_t length);

#endif
