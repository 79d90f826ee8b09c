/* The heap, and numbers from text. malloc() draws on the kernel's pages, not
 * on the heap that solo5_start_info announces. */
#ifndef _STDLIB_H
#define _STDLIB_H

#include <stddef.h>

void *malloc(size_t size);
void *calloc(size_t count, size_t size);
void *realloc(void *block, size_t size);
void free(void *block);

/* As C11 7.22.1.4; base 0 accepts 0x and 0 prefixes. */
long strtol(const char *restrict text, char **restrict end, int base);
unsigned long strtoul(const char *restrict text, char **restrict end, int base);

#endif
