/* Options that the command line holds for the kernel itself. */
#ifndef SOLO5_OPTIONS_H
#define SOLO5_OPTIONS_H

#include <stdbool.h>

/* --solo5:quiet: the kernel keeps its remarks about devices to itself. */
extern bool kernel_quiet;

/* Reads the leading words of the form --solo5:... and returns what follows
 * them, the application's own arguments. */
const char *options_parse(const char *command_line);

#endif
