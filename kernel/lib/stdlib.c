/* Numbers from text. */
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

static int digit_value(char character)
{
    if (character >= '0' && character <= '9')
        return character - '0';
    if (character >= 'a' && character <= 'z')
        return character - 'a' + 10;
    if (character >= 'A' && character <= 'Z')
        return character - 'A' + 10;
    return INT_MAX;
}

/* Reads an optional sign and digits. The magnitude stops at ULONG_MAX, and
 * `*end` stays at the start if there are no digits at all. */
static unsigned long parse(const char *text, char **end, int base,
                           bool *negative)
{
    const char *at = text;
    unsigned long value = 0;
    bool any = false;

    while (*at == ' ' || (*at >= '\t' && *at <= '\r'))
        at++;
    *negative = *at == '-';
    if (*at == '-' || *at == '+')
        at++;
    if ((base == 0 || base == 16) && at[0] == '0' &&
        (at[1] == 'x' || at[1] == 'X') && digit_value(at[2]) < 16) {
        at += 2;
        base = 16;
    } else if (base == 0) {
        base = *at == '0' ? 8 : 10;
    }
    for (; digit_value(*at) < base; at++) {
        unsigned long digit = (unsigned long)digit_value(*at);

        any = true;
        if (value > (ULONG_MAX - digit) / (unsigned long)base)
            value = ULONG_MAX;
        else
            value = value * (unsigned long)base + digit;
    }
    if (end)
        *end = (char *)(any ? at : text);
    return value;
}

unsigned long strtoul(const char *restrict text, char **restrict end, int base)
{
    bool negative;
    unsigned long value = parse(text, end, base, &negative);

    return negative && value != ULONG_MAX ? -value : value;
}

long strtol(const char *restrict text, char **restrict end, int base)
{
    bool negative;
    unsigned long value = parse(text, end, base, &negative);

    if (negative)
        return value > LONG_MAX ? LONG_MIN : -(long)value;
    return value > LONG_MAX ? LONG_MAX : (long)value;
}
