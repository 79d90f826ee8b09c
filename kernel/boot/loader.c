/* The loader: a 32-bit Multiboot kernel that starts a 64-bit one, which comes
 * as its first module. README.md has the memory map. */
#include "loader.h"
#include <kernel/serial.h>

#define CPUID_EXTENDED_MAX      0x80000000u
#define CPUID_EXTENDED_FEATURES 0x80000001u
#define FEATURE_NX              (1u << 20)
#define FEATURE_LONG_MODE       (1u << 29)

static struct boot_info boot_info;

/* EDX of the extended features leaf; 0 if the processor has none. */
static uint32_t extended_features(void)
{
    uint32_t eax = CPUID_EXTENDED_MAX, ebx, ecx, edx;

    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    if (eax < CPUID_EXTENDED_FEATURES)
        return 0;
    eax = CPUID_EXTENDED_FEATURES;
    __asm__("cpuid" : "+a"(eax), "=b"(ebx), "=c"(ecx), "=d"(edx));
    return edx;
}

/* The order matters. Everything that is wanted of the Multiboot information
 * is taken before the kernel is copied, because the copy may overwrite it. The
 * page tables come last, because they lie behind the kernel. */
_Noreturn void loader_main(uint32_t magic, const struct multiboot_info *info)
{
    serial_configure();
    print("loader: memory\n");
    if (magic != MULTIBOOT_BOOTLOADER_MAGIC)
        fail("not started by a Multiboot 1 boot loader");
    if (!(info->flags & MULTIBOOT_INFO_MODS) || info->mods_count == 0)
        fail("no kernel: it has to be the first Multiboot module");

    uint32_t features = extended_features();
    if (!(features & FEATURE_LONG_MODE))
        fail("this processor has no 64-bit mode");
    bool no_execute = features & FEATURE_NX;

    uint32_t memory_end = memory_map_read(info);
    struct multiboot_module module =
        *(const struct multiboot_module *)info->mods_addr;
    command_line_build(boot_info.command_line, info, &module);

    uint32_t image_end = kernel_image_load(
        module.mod_start, module.mod_end - module.mod_start, memory_end);
    uint32_t page_tables =
        page_tables_build(&boot_info, image_end, memory_end, no_execute);
    boot_info.task_state = (uint32_t)&task_state;
    gdt_prepare();
    enter_long_mode(kernel_entry, &boot_info, (uint32_t)boot_info.stack_top,
                    page_tables, no_execute);
}
