/* Thread-local storage and the stack guard value. Compilers read the guard
 * either from the global variable or from %fs:0x28; both hold the same.
 *
 * The kernel starts with FS.base 0: as Solo5 has it, an application without
 * thread-local storage of its own has none, and an access faults. */
#include <kernel/cpu.h>
#include <kernel/platform.h>
#include <kernel/tls.h>
#include <string.h>

/* From link.ld: the initial values, and the end with the zeroed variables. */
extern char tls_image_start[], tls_image_end[], tls_block_end[];

#define TLS_ALIGNMENT 16

/* The part of the control block that compilers know (x86-64 psABI, 3.4.6 and
 * gcc's -fstack-protector). */
struct control_block {
    uintptr_t self;
    uintptr_t reserved[4];
    uintptr_t stack_guard; /* %fs:0x28 */
    uintptr_t reserved_too[2];
};

/* The lowest byte is zero, so that a string cannot copy the guard. Replaced by
 * stack_guard_init() before any code that checks it runs. */
uintptr_t __stack_chk_guard = 0x5a17c0de0d0aff00;

void __stack_chk_fail(void);
void __stack_chk_fail(void)
{
    panic("stack smashing detected: a function wrote past its local variables");
}

static size_t variables_size(void)
{
    size_t size = (size_t)(tls_block_end - tls_image_start);

    return (size + TLS_ALIGNMENT - 1) & ~(size_t)(TLS_ALIGNMENT - 1);
}

size_t tls_block_size(void)
{
    return variables_size() + sizeof(struct control_block);
}

uintptr_t tls_thread_pointer(uintptr_t block)
{
    return block + variables_size();
}

void tls_block_init(uintptr_t block)
{
    struct control_block *control = (void *)tls_thread_pointer(block);
    size_t image_size = (size_t)(tls_image_end - tls_image_start);

    memset((void *)block, 0, tls_block_size());
    memcpy((void *)block, tls_image_start, image_size);
    control->self = (uintptr_t)control;
    control->stack_guard = __stack_chk_guard;
}

void tls_set_thread_pointer(uintptr_t thread_pointer)
{
    wrmsr(MSR_FS_BASE, thread_pointer);
}

void stack_guard_init(void)
{
    /* Not a secret, but not the same on every start either. The multiplier
     * is Knuth's: it carries the TSC's few varying bits upwards. */
    __stack_chk_guard ^= (rdtsc() * 0x9e3779b97f4a7c15) & ~(uintptr_t)0xff;
}
