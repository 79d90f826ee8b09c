/* The application's command line. Multiboot gives two strings, the loader's
 * and the module's; in each, the first word names the file. The application
 * sees the rest of the first and then the rest of the second. */
#include "loader.h"

static bool is_space(char character)
{
    return character == ' ' || character == '\t' || character == '\n' ||
           character == '\r';
}

/* Appends the words of `string` after the first, single spaces between. */
static char *append_words(char *start, char *to, const char *end,
                          const char *string)
{
    bool first_word = true;

    for (;;) {
        while (is_space(*string))
            string++;
        if (*string == '\0')
            return to;
        if (!first_word && to != start && to < end)
            *to++ = ' ';
        for (; *string && !is_space(*string); string++) {
            if (!first_word && to < end)
                *to++ = *string;
        }
        first_word = false;
    }
}

void command_line_build(char *to, const struct multiboot_info *info,
                        const struct multiboot_module *module)
{
    char *at = to;
    const char *end = to + COMMAND_LINE_SIZE - 1;

    if (info->flags & MULTIBOOT_INFO_CMDLINE)
        at = append_words(to, at, end, (const char *)info->cmdline);
    if (module->string)
        at = append_words(to, at, end, (const char *)module->string);
    *at = '\0';
    if (at == end)
        print("loader: the command line is cut after 4095 characters\n");
}
