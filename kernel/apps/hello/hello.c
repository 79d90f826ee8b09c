/* The smallest program: says hello, shows its arguments, ends with status 0. */
#include <solo5.h>
#include <stdio.h>

int solo5_app_main(const struct solo5_start_info *info)
{
    printf("Hello, World\n");
    printf("Command line is: '%s'\n", info->cmdline);
    return SOLO5_EXIT_SUCCESS;
}
