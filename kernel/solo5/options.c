#include "options.h"

#include <string.h>

#define PREFIX "--solo5:"
#define QUIET  "--solo5:quiet"

bool kernel_quiet;

const char *options_parse(const char *command_line)
{
    const char *word = command_line;
    while (strncmp(word, PREFIX, strlen(PREFIX)) == 0) {
        const char *space = strchr(word, ' ');
        size_t length = space ? (size_t)(space - word) : strlen(word);
        if (length == strlen(QUIET) && strncmp(word, QUIET, length) == 0)
            kernel_quiet = true;
        word += space ? length + 1 : length;
    }
    return word;
}
