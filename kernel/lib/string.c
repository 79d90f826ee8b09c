/* Memory and strings. Blocks go through the string instructions: the fewer
 * instructions the better where each one is emulated. */
#include <stdint.h>
#include <string.h>

void *memcpy(void *restrict to, const void *restrict from, size_t size)
{
    void *start = to;
    size_t words = size / 8, rest = size % 8;

    __asm__ volatile("rep movsq"
                     : "+D"(to), "+S"(from), "+c"(words) : : "memory");
    if (rest)
        __asm__ volatile("rep movsb"
                         : "+D"(to), "+S"(from), "+c"(rest) : : "memory");
    return start;
}

void *memmove(void *to, const void *from, size_t size)
{
    /* The unsigned difference is small only if `to` lies inside `from`. */
    if ((uintptr_t)to - (uintptr_t)from >= size)
        return memcpy(to, from, size);

    void *last_to = (char *)to + size - 1;
    const void *last_from = (const char *)from + size - 1;
    __asm__ volatile("std; rep movsb; cld"
                     : "+D"(last_to), "+S"(last_from), "+c"(size)
                     : : "memory");
    return to;
}

void *memset(void *to, int byte, size_t size)
{
    void *start = to;
    uint64_t pattern = (uint8_t)byte * 0x0101010101010101ull;
    size_t words = size / 8, rest = size % 8;

    __asm__ volatile("rep stosq"
                     : "+D"(to), "+c"(words) : "a"(pattern) : "memory");
    if (rest)
        __asm__ volatile("rep stosb"
                         : "+D"(to), "+c"(rest) : "a"(pattern) : "memory");
    return start;
}

int memcmp(const void *left, const void *right, size_t size)
{
    const unsigned char *l = left, *r = right;

    for (; size; size--, l++, r++) {
        if (*l != *r)
            return *l - *r;
    }
    return 0;
}

void *memchr(const void *bytes, int byte, size_t size)
{
    const unsigned char *at = bytes;

    for (; size; size--, at++) {
        if (*at == (unsigned char)byte)
            return (void *)at;
    }
    return NULL;
}

size_t strlen(const char *string)
{
    const char *end = string;

    while (*end)
        end++;
    return (size_t)(end - string);
}

size_t strnlen(const char *string, size_t limit)
{
    size_t length = 0;

    while (length < limit && string[length])
        length++;
    return length;
}

int strcmp(const char *left, const char *right)
{
    return strncmp(left, right, SIZE_MAX);
}

int strncmp(const char *left, const char *right, size_t limit)
{
    const unsigned char *l = (const void *)left, *r = (const void *)right;

    for (; limit; limit--, l++, r++) {
        if (*l != *r || *l == 0)
            return *l - *r;
    }
    return 0;
}

char *strcpy(char *restrict to, const char *restrict from)
{
    return memcpy(to, from, strlen(from) + 1);
}

char *strncpy(char *restrict to, const char *restrict from, size_t size)
{
    size_t length = strnlen(from, size);

    memcpy(to, from, length);
    memset(to + length, 0, size - length);
    return to;
}

char *strcat(char *restrict to, const char *restrict from)
{
    strcpy(to + strlen(to), from);
    return to;
}

char *strchr(const char *string, int character)
{
    return memchr(string, character, strlen(string) + 1);
}

char *strrchr(const char *string, int character)
{
    const char *found = NULL;

    do {
        if (*string == (char)character)
            found = string;
    } while (*string++);
    return (char *)found;
}

char *strstr(const char *string, const char *wanted)
{
    size_t length = strlen(wanted);

    for (;; string++) {
        if (strncmp(string, wanted, length) == 0)
            return (char *)string;
        if (*string == '\0')
            return NULL;
    }
}
