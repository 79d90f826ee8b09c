/* From the kernel's start to the application's, and back. */
#include "options.h"

#include <kernel/memory.h>
#include <kernel/platform.h>
#include <solo5.h>

_Noreturn void solo5_start(void)
{
    static struct solo5_start_info info;
    info.cmdline = options_parse(kernel_command_line);
    info.heap_start = application_heap_start;
    info.heap_size = application_heap_size;
    solo5_exit(solo5_app_main(&info));
}
