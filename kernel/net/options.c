#include <net/options.h>

#include <net/byte_order.h>

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_ADDRESS NETWORK32(0x0a000002)

static bool is_digit(char character)
{
    return character >= '0' && character <= '9';
}

/* Reads a decimal number that is at most `highest`; moves `*text` behind it. */
static bool read_number(const char **text, unsigned long highest,
                        unsigned long *number)
{
    char *end;
    if (!is_digit(**text))
        return false;
    *number = strtoul(*text, &end, 10);
    *text = end;
    return *number <= highest;
}

static bool read_address(const char *text, const char *end, uint32_t *address)
{
    uint32_t result = 0;
    for (unsigned i = 0; i < 4; i++) {
        unsigned long part;
        if (i > 0 && *text++ != '.')
            return false;
        if (!read_number(&text, 255, &part))
            return false;
        result = result << 8 | (uint32_t)part;
    }
    *address = NETWORK32(result);
    return text == end;
}

static bool read_limit(const char *text, const char *end, unsigned long *limit)
{
    return read_number(&text, (unsigned long)-1, limit) && text == end;
}

/* If the word from `text` to `end` starts with `key`, returns what follows the
 * key, otherwise NULL. */
static const char *value_of(const char *key, const char *text, const char *end)
{
    size_t length = strlen(key);
    bool matches = (size_t)(end - text) >= length &&
                   memcmp(text, key, length) == 0;
    return matches ? text + length : NULL;
}

static bool read_word(const char *word, const char *end,
                      struct options *options)
{
    const char *value;
    if ((value = value_of("--quiet", word, end)) == end ||
        (value = value_of("quiet", word, end)) == end) {
        options->quiet = true;
        return true;
    }
    if ((value = value_of("ip=", word, end)) != NULL)
        return read_address(value, end, &options->address);
    if ((value = value_of("limit=", word, end)) != NULL)
        return read_limit(value, end, &options->limit);
    return false;
}

bool options_read(const char *arguments, struct options *options)
{
    *options = (struct options){.address = DEFAULT_ADDRESS};
    while (*arguments != '\0') {
        const char *end = arguments;
        while (*end != '\0' && *end != ' ')
            end++;
        if (end != arguments && !read_word(arguments, end, options)) {
            printf("cannot understand '%.*s'; arguments are: "
                   "[ip=A.B.C.D] [quiet] [limit=N]\n",
                   (int)(end - arguments), arguments);
            return false;
        }
        arguments = *end == ' ' ? end + 1 : end;
    }
    return true;
}
