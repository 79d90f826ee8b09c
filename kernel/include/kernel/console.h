/* The console: COM1. printf() of <stdio.h> ends up here. */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stddef.h>

void console_init(void);

/* Writes `length` bytes; a carriage return is added before each newline. */
void console_write(const char *bytes, size_t length);

#endif
