/* Formatted output to the console and to memory.
 *
 * Conversions: d i u x X o c s p %, with the flags "-+ #0", width and
 * precision (also as *), and the lengths hh h l ll j z t. No floating point:
 * the kernel uses general registers only. */
#ifndef _STDIO_H
#define _STDIO_H

#include <stdarg.h>
#include <stddef.h>

int printf(const char *restrict format, ...)
    __attribute__((format(printf, 1, 2)));
int vprintf(const char *restrict format, va_list arguments)
    __attribute__((format(printf, 1, 0)));
int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
    __attribute__((format(printf, 3, 4)));
int vsnprintf(char *restrict to, size_t size, const char *restrict format,
              va_list arguments) __attribute__((format(printf, 3, 0)));
int puts(const char *string);
int putchar(int character);

#endif
