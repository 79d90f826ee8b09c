/* The kernel's start, from the loader's jump to the application. */
#include <kernel/boot_info.h>
#include <kernel/clock.h>
#include <kernel/console.h>
#include <kernel/cpu.h>
#include <kernel/interrupt.h>
#include <kernel/memory.h>
#include <kernel/platform.h>
#include <kernel/tls.h>
#include <stdint.h>

const char *kernel_command_line = "";

static const char banner[] = "\n"
                             "  .--------------------------------.\n"
                             "  |  s o l o 5 - k v m   x86-64    |\n"
                             "  |  one program, one address      |\n"
                             "  |  space, no operating system    |\n"
                             "  '--------------------------------'\n\n";

/* The x87 and SSE state that applications expect: every exception masked,
 * rounding to nearest (Intel SDM vol. 1, table 10-2 has the layout). Loaded by
 * FXRSTOR, because instruction emulators that run ring 0 for a hypervisor know
 * that one and neither FNINIT nor LDMXCSR. */
static const struct {
    uint16_t control_word, status_word;
    uint8_t tag_word, reserved, opcode[2];
    uint64_t instruction, data;
    uint32_t mxcsr, mxcsr_mask;
    uint8_t registers[480];
} __attribute__((aligned(16))) initial_fpu_state = {
    .control_word = 0x37f,
    .mxcsr = 0x1f80,
};

static void fpu_init(void)
{
    __asm__ volatile("fxrstor %0" : : "m"(initial_fpu_state));
}

/* YMM registers, where there are any: they are zero after a reset. */
static void avx_init(void)
{
    const uint32_t needed = CPUID_XSAVE | CPUID_AVX;

    if ((cpu_features() & needed) != needed)
        return;
    write_cr4(read_cr4() | CR4_OSXSAVE);
    xsetbv(XCR0_X87 | XCR0_SSE | XCR0_AVX);
}

/* The order: the banner first, so that something is seen whatever fails next;
 * interrupt vectors before anything that can go wrong; memory before whoever
 * allocates. No device is touched yet. */
_Noreturn void kernel_main(const struct boot_info *boot_info);
_Noreturn void kernel_main(const struct boot_info *boot_info)
{
    console_write(banner, sizeof(banner) - 1);
    kernel_command_line = boot_info->command_line;
    interrupts_init(boot_info);
    fpu_init();
    avx_init();
    memory_init(boot_info);
    stack_guard_init();
    clock_init();
    interrupts_enable();
    solo5_start();
}
