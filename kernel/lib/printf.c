/* Formatted output, C11 7.21.6.1 without floating point and wide characters. */
#include <limits.h>
#include <solo5.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

/* Where characters go: into a buffer that, for the console, is written out
 * whenever it is full, and for snprintf() swallows what is too much. */
struct sink {
    char *buffer;
    size_t size, used;
    bool is_console;
    size_t total;
};

static void flush(struct sink *sink)
{
    if (sink->used)
        solo5_console_write(sink->buffer, sink->used);
    sink->used = 0;
}

static void put(struct sink *sink, char character)
{
    if (sink->used == sink->size && sink->is_console)
        flush(sink);
    if (sink->used < sink->size)
        sink->buffer[sink->used++] = character;
    sink->total++;
}

static void put_times(struct sink *sink, char character, int times)
{
    for (; times > 0; times--)
        put(sink, character);
}

/* One conversion specification: %[flags][width][.precision][length]x */
struct conversion {
    bool left, plus, space, alternate, zero;
    int width;
    int precision; /* -1: none given */
    int size;      /* bytes of an integer argument */
};

/* Writes prefix and body with the padding that width and flags ask for. The
 * zeros go between prefix and body. */
static void put_padded(struct sink *sink, const struct conversion *conversion,
                       const char *prefix, int zeros, const char *body,
                       int length)
{
    int padding =
        conversion->width - (int)strlen(prefix) - zeros - length;

    if (!conversion->left)
        put_times(sink, ' ', padding);
    while (*prefix)
        put(sink, *prefix++);
    put_times(sink, '0', zeros);
    for (int i = 0; i < length; i++)
        put(sink, body[i]);
    if (conversion->left)
        put_times(sink, ' ', padding);
}

static void put_integer(struct sink *sink, const struct conversion *conversion,
                        uint64_t value, unsigned base, bool upper_case,
                        const char *prefix)
{
    const char *alphabet =
        upper_case ? "0123456789ABCDEF" : "0123456789abcdef";
    char digits[22]; /* 64 bits in octal */
    char *first = digits + sizeof(digits);
    int length, zeros = 0;

    for (; value; value /= base)
        *--first = alphabet[value % base];
    length = (int)(digits + sizeof(digits) - first);

    if (conversion->precision >= 0)
        zeros = conversion->precision - length;
    else if (conversion->zero && !conversion->left)
        zeros = conversion->width - (int)strlen(prefix) - length;
    /* A zero has no digits yet; it keeps none only with a precision of 0. */
    if (zeros < 1)
        zeros = length == 0 && conversion->precision != 0;
    if (base == 8 && conversion->alternate && zeros == 0)
        zeros = 1;
    put_padded(sink, conversion, prefix, zeros, first, length);
}

static uint64_t sign_extend(uint64_t value, int size)
{
    switch (size) {
    case 1:
        return (uint64_t)(int8_t)value;
    case 2:
        return (uint64_t)(int16_t)value;
    case 4:
        return (uint64_t)(int32_t)value;
    default:
        return value;
    }
}

static uint64_t zero_extend(uint64_t value, int size)
{
    return size == 8 ? value : value & ((1ull << size * 8) - 1);
}

static void put_signed(struct sink *sink, const struct conversion *conversion,
                       uint64_t argument)
{
    uint64_t value = sign_extend(argument, conversion->size);
    bool negative = (int64_t)value < 0;
    const char *sign = negative            ? "-"
                       : conversion->plus  ? "+"
                       : conversion->space ? " "
                                           : "";

    put_integer(sink, conversion, negative ? -value : value, 10, false, sign);
}

static void put_unsigned(struct sink *sink, const struct conversion *conversion,
                         uint64_t argument, char specifier)
{
    uint64_t value = zero_extend(argument, conversion->size);
    bool hexadecimal = specifier == 'x' || specifier == 'X';
    unsigned base = hexadecimal ? 16 : specifier == 'o' ? 8 : 10;
    const char *prefix = "";

    if (hexadecimal && conversion->alternate && value)
        prefix = specifier == 'x' ? "0x" : "0X";
    put_integer(sink, conversion, value, base, specifier == 'X', prefix);
}

static void put_string(struct sink *sink, const struct conversion *conversion,
                       const char *string)
{
    size_t limit = conversion->precision < 0 ? INT_MAX
                                             : (size_t)conversion->precision;

    if (!string)
        string = "(null)";
    put_padded(sink, conversion, "", 0, string, (int)strnlen(string, limit));
}

static const char *parse_flags(const char *format,
                               struct conversion *conversion)
{
    for (;; format++) {
        switch (*format) {
        case '-':
            conversion->left = true;
            break;
        case '+':
            conversion->plus = true;
            break;
        case ' ':
            conversion->space = true;
            break;
        case '#':
            conversion->alternate = true;
            break;
        case '0':
            conversion->zero = true;
            break;
        default:
            return format;
        }
    }
}

static const char *parse_number(const char *format, int *number)
{
    for (*number = 0; *format >= '0' && *format <= '9'; format++)
        *number = *number * 10 + (*format - '0');
    return format;
}

static const char *parse_length(const char *format,
                                struct conversion *conversion)
{
    conversion->size = sizeof(int);
    switch (*format) {
    case 'h':
        conversion->size = format[1] == 'h' ? 1 : 2;
        return format + (format[1] == 'h' ? 2 : 1);
    case 'l':
        conversion->size = 8;
        return format + (format[1] == 'l' ? 2 : 1);
    case 'j':
    case 'z':
    case 't':
        conversion->size = 8;
        return format + 1;
    default:
        return format;
    }
}

/* A va_list cannot portably be passed by pointer from a parameter, hence this
 * wrapper. */
struct arguments {
    va_list list;
};

/* Every integer argument narrower than 64 bits is passed as an int. */
static uint64_t next_integer(struct arguments *arguments, int size)
{
    return size == 8 ? va_arg(arguments->list, uint64_t)
                     : va_arg(arguments->list, unsigned);
}

/* Executes the conversion that follows a %; returns what follows it. */
static const char *convert(struct sink *sink, const char *format,
                           struct arguments *arguments)
{
    struct conversion conversion = {.precision = -1};

    format = parse_flags(format, &conversion);
    if (*format == '*') {
        conversion.width = va_arg(arguments->list, int);
        if (conversion.width < 0) {
            conversion.left = true;
            conversion.width = -conversion.width;
        }
        format++;
    } else {
        format = parse_number(format, &conversion.width);
    }
    if (*format == '.' && format[1] == '*') {
        conversion.precision = va_arg(arguments->list, int);
        format += 2;
    } else if (*format == '.') {
        format = parse_number(format + 1, &conversion.precision);
    }
    format = parse_length(format, &conversion);

    char character;
    switch (*format) {
    case 'd':
    case 'i':
        put_signed(sink, &conversion,
                   next_integer(arguments, conversion.size));
        break;
    case 'u':
    case 'x':
    case 'X':
    case 'o':
        put_unsigned(sink, &conversion,
                     next_integer(arguments, conversion.size), *format);
        break;
    case 'p':
        conversion.size = 8;
        conversion.alternate = true;
        put_unsigned(sink, &conversion, next_integer(arguments, 8), 'x');
        break;
    case 'c':
        character = (char)va_arg(arguments->list, int);
        put_padded(sink, &conversion, "", 0, &character, 1);
        break;
    case 's':
        put_string(sink, &conversion, va_arg(arguments->list, const char *));
        break;
    case '%':
        put(sink, '%');
        break;
    case '\0':
        return format;
    default: /* not a conversion that exists here: show it */
        put(sink, '%');
        put(sink, *format);
    }
    return format + 1;
}

static void format_to(struct sink *sink, const char *format, va_list list)
{
    struct arguments arguments;

    va_copy(arguments.list, list);
    while (*format) {
        if (*format == '%')
            format = convert(sink, format + 1, &arguments);
        else
            put(sink, *format++);
    }
    va_end(arguments.list);
}

int vsnprintf(char *restrict to, size_t size, const char *restrict format,
              va_list arguments)
{
    struct sink sink = {.buffer = to, .size = size ? size - 1 : 0};

    format_to(&sink, format, arguments);
    if (size)
        to[sink.used] = '\0';
    return (int)sink.total;
}

int snprintf(char *restrict to, size_t size, const char *restrict format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(to, size, format, arguments);
    va_end(arguments);
    return length;
}

int vprintf(const char *restrict format, va_list arguments)
{
    char buffer[80];
    struct sink sink = {
        .buffer = buffer, .size = sizeof(buffer), .is_console = true};

    format_to(&sink, format, arguments);
    flush(&sink);
    return (int)sink.total;
}

int printf(const char *restrict format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    int length = vprintf(format, arguments);
    va_end(arguments);
    return length;
}

int puts(const char *string)
{
    return printf("%s\n", string);
}

int putchar(int character)
{
    char byte = (char)character;

    solo5_console_write(&byte, 1);
    return (unsigned char)byte;
}
