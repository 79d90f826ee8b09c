/*
 * This is C because the kernel's headers declare other struct sizes under C++ (flexible array
 * members in kvm_cpuid2).
 */
#include "kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

#define SUPPORTED_API_VERSION 12

/* Three pages below 4 GiB that no RAM uses: Intel hosts without unrestricted guests need them. */
#define TSS_ADDRESS 0xfffbd000UL

static int kick_signal(void)
{
    return SIGRTMIN + 5;
}

/*
 * A kick may come just before KVM_RUN: then only immediate_exit makes it return. The timer's signal
 * carries its machine; kvm_vm_kick() has set the flag already.
 */
static void on_kick(int signal, siginfo_t *info, void *context)
{
    (void)signal;
    (void)context;
    if (info->si_code == SI_TIMER)
        ((struct kvm_run *)info->si_value.sival_ptr)->immediate_exit = 1;
}

static int install_kick_handler(void)
{
    struct sigaction action;

    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_kick;
    /* KVM_RUN returns EINTR all the same; other system calls of the process are not to notice. */
    action.sa_flags = SA_SIGINFO | SA_RESTART;
    sigemptyset(&action.sa_mask);
    return sigaction(kick_signal(), &action, NULL) < 0 ? -errno : 0;
}

static int create_timer(struct kvm_vm *vm)
{
    struct sigevent event;

    memset(&event, 0, sizeof event);
    event.sigev_notify = SIGEV_THREAD_ID;
    event.sigev_signo = kick_signal();
    event.sigev_notify_thread_id = vm->thread;
    event.sigev_value.sival_ptr = vm->run;
    if (timer_create(CLOCK_MONOTONIC, &event, &vm->timer) < 0)
        return -errno;
    vm->has_timer = 1;
    return 0;
}

static int open_vm(struct kvm_vm *vm, const char *device, const char **what)
{
    int version, size;

    *what = "open";
    vm->kvm_fd = open(device, O_RDWR | O_CLOEXEC);
    if (vm->kvm_fd < 0)
        return -errno;
    *what = "KVM_GET_API_VERSION";
    version = ioctl(vm->kvm_fd, KVM_GET_API_VERSION, 0);
    if (version < 0)
        return -errno;
    if (version != SUPPORTED_API_VERSION)
        return -ENOTSUP;
    *what = "KVM_CREATE_VM";
    /* Creating a machine may take long, and a signal then ends it. */
    do
        vm->vm_fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
    while (vm->vm_fd < 0 && errno == EINTR);
    if (vm->vm_fd < 0)
        return -errno;
    *what = "KVM_SET_TSS_ADDR";
    if (ioctl(vm->vm_fd, KVM_SET_TSS_ADDR, TSS_ADDRESS) < 0)
        return -errno;
    *what = "KVM_CREATE_VCPU";
    vm->vcpu_fd = ioctl(vm->vm_fd, KVM_CREATE_VCPU, 0);
    if (vm->vcpu_fd < 0)
        return -errno;
    *what = "KVM_GET_VCPU_MMAP_SIZE";
    size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
    if (size < 0)
        return -errno;
    *what = "mmap of kvm_run";
    vm->run = mmap(NULL, (size_t)size, PROT_READ | PROT_WRITE, MAP_SHARED, vm->vcpu_fd, 0);
    if (vm->run == MAP_FAILED) {
        vm->run = NULL;
        return -errno;
    }
    vm->run_size = (size_t)size;
    *what = "sigaction";
    version = install_kick_handler();
    if (version < 0)
        return version;
    *what = "timer_create";
    return create_timer(vm);
}

int kvm_vm_open(struct kvm_vm *vm, const char *device, const char **what)
{
    int result;

    memset(vm, 0, sizeof *vm);
    vm->kvm_fd = vm->vm_fd = vm->vcpu_fd = -1;
    vm->thread = (pid_t)syscall(SYS_gettid);
    result = open_vm(vm, device, what);
    if (result < 0) {
        if (vm->run != NULL)
            kvm_vm_unmap_run(vm->run, vm->run_size);
        kvm_vm_close(vm);
    }
    return result;
}

void kvm_vm_close(struct kvm_vm *vm)
{
    if (vm->has_timer)
        timer_delete(vm->timer);
    vm->has_timer = 0;
    vm->run = NULL;
    if (vm->vcpu_fd >= 0)
        close(vm->vcpu_fd);
    if (vm->vm_fd >= 0)
        close(vm->vm_fd);
    if (vm->kvm_fd >= 0)
        close(vm->kvm_fd);
    vm->kvm_fd = vm->vm_fd = vm->vcpu_fd = -1;
}

void kvm_vm_unmap_run(void *run, size_t size)
{
    munmap(run, size);
}

int kvm_vm_check_extension(struct kvm_vm *vm, int capability)
{
    int result = ioctl(vm->vm_fd, KVM_CHECK_EXTENSION, capability);

    return result < 0 ? -errno : result;
}

int kvm_vm_map_memory(struct kvm_vm *vm, uint32_t slot, uint64_t gpa, void *host, uint64_t size,
                      int read_only)
{
    struct kvm_userspace_memory_region region = {
        .slot = slot,
        .flags = read_only ? KVM_MEM_READONLY : 0,
        .guest_phys_addr = gpa,
        .memory_size = size,
        .userspace_addr = (uint64_t)(uintptr_t)host,
    };

    return ioctl(vm->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

#define MSRS_SIZE (sizeof(struct kvm_msrs) + KVM_STATE_MSR_COUNT * sizeof(struct kvm_msr_entry))

static const struct {
    size_t size;
    unsigned long get;
    unsigned long set;
} states[KVM_STATE_COUNT] = {
    [KVM_STATE_REGS] = {sizeof(struct kvm_regs), KVM_GET_REGS, KVM_SET_REGS},
    [KVM_STATE_SREGS] = {sizeof(struct kvm_sregs), KVM_GET_SREGS, KVM_SET_SREGS},
    [KVM_STATE_XSAVE] = {sizeof(struct kvm_xsave), KVM_GET_XSAVE, KVM_SET_XSAVE},
    [KVM_STATE_XCRS] = {sizeof(struct kvm_xcrs), KVM_GET_XCRS, KVM_SET_XCRS},
    [KVM_STATE_DEBUGREGS] = {sizeof(struct kvm_debugregs), KVM_GET_DEBUGREGS, KVM_SET_DEBUGREGS},
    [KVM_STATE_EVENTS] = {sizeof(struct kvm_vcpu_events), KVM_GET_VCPU_EVENTS,
                          KVM_SET_VCPU_EVENTS},
    [KVM_STATE_MSRS] = {MSRS_SIZE, KVM_GET_MSRS, KVM_SET_MSRS},
    [KVM_STATE_GUEST_DEBUG] = {sizeof(struct kvm_guest_debug), 0, KVM_SET_GUEST_DEBUG},
};

size_t kvm_state_size(enum kvm_state state)
{
    return states[state].size;
}

int kvm_vm_get(struct kvm_vm *vm, enum kvm_state state, void *to)
{
    int result = ioctl(vm->vcpu_fd, states[state].get, to);

    return result < 0 ? -errno : result;
}

int kvm_vm_set(struct kvm_vm *vm, enum kvm_state state, const void *from)
{
    int result = ioctl(vm->vcpu_fd, states[state].set, from);

    return result < 0 ? -errno : result;
}

int kvm_vm_tsc_khz(struct kvm_vm *vm)
{
    int result = ioctl(vm->vcpu_fd, KVM_GET_TSC_KHZ, 0);

    return result < 0 ? -errno : result;
}

size_t kvm_cpuid_entry_size(void)
{
    return sizeof(struct kvm_cpuid_entry2);
}

static struct kvm_cpuid2 *allocate_cpuid(uint32_t count)
{
    struct kvm_cpuid2 *cpuid = calloc(1, sizeof *cpuid + count * sizeof cpuid->entries[0]);

    if (cpuid != NULL)
        cpuid->nent = count;
    return cpuid;
}

int kvm_vm_supported_cpuid(struct kvm_vm *vm, void *entries, uint32_t capacity)
{
    struct kvm_cpuid2 *cpuid = allocate_cpuid(capacity);
    int result;

    if (cpuid == NULL)
        return -ENOMEM;
    if (ioctl(vm->kvm_fd, KVM_GET_SUPPORTED_CPUID, cpuid) < 0) {
        result = -errno;
    } else {
        result = (int)cpuid->nent;
        memcpy(entries, cpuid->entries, cpuid->nent * sizeof cpuid->entries[0]);
    }
    free(cpuid);
    return result;
}

int kvm_vm_set_cpuid(struct kvm_vm *vm, const void *entries, uint32_t count)
{
    struct kvm_cpuid2 *cpuid = allocate_cpuid(count);
    int result;

    if (cpuid == NULL)
        return -ENOMEM;
    memcpy(cpuid->entries, entries, count * sizeof cpuid->entries[0]);
    result = ioctl(vm->vcpu_fd, KVM_SET_CPUID2, cpuid) < 0 ? -errno : 0;
    free(cpuid);
    return result;
}

int kvm_vm_translate(struct kvm_vm *vm, uint64_t linear, uint64_t *gpa)
{
    struct kvm_translation translation = {.linear_address = linear};

    if (ioctl(vm->vcpu_fd, KVM_TRANSLATE, &translation) < 0)
        return -errno;
    if (!translation.valid)
        return -EFAULT;
    *gpa = translation.physical_address;
    return 0;
}

static uint64_t monotonic_nanoseconds(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

uint64_t kvm_vm_stopwatch_start(const struct kvm_vm *vm)
{
    return vm->timed ? monotonic_nanoseconds() : 0;
}

void kvm_vm_stopwatch_stop(struct kvm_vm *vm, uint64_t start)
{
    if (vm->timed) {
        uint64_t elapsed = monotonic_nanoseconds() - start;

        vm->cpu_nanoseconds += elapsed;
        if (vm->exit_start != 0)
            vm->exit_start += elapsed;
    }
}

/* After a halt or a kick the caller turns to the event loop: that is no part of the exit. */
static int answered_by_device(int result)
{
    return result == KVM_EXIT_IO || result == KVM_EXIT_MMIO;
}

static int timed_run(struct kvm_vm *vm)
{
    uint64_t start = monotonic_nanoseconds(), end;
    int result;

    if (vm->exit_start != 0)
        vm->exit_nanoseconds += start - vm->exit_start;
    result = ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0 ? -errno : (int)vm->run->exit_reason;
    end = monotonic_nanoseconds();
    vm->cpu_nanoseconds += end - start;
    vm->exit_start = answered_by_device(result) ? end : 0;
    return result;
}

int kvm_vm_interrupt(struct kvm_vm *vm, uint32_t vector)
{
    struct kvm_interrupt interrupt = {.irq = vector};
    uint64_t start = kvm_vm_stopwatch_start(vm);
    int result = ioctl(vm->vcpu_fd, KVM_INTERRUPT, &interrupt) < 0 ? -errno : 0;

    kvm_vm_stopwatch_stop(vm, start);
    return result;
}

int kvm_vm_nmi(struct kvm_vm *vm)
{
    uint64_t start = kvm_vm_stopwatch_start(vm);
    int result = ioctl(vm->vcpu_fd, KVM_NMI) < 0 ? -errno : 0;

    kvm_vm_stopwatch_stop(vm, start);
    return result;
}

void kvm_vm_run(struct kvm_vm *vm)
{
    int result;

    if (vm->timed)
        result = timed_run(vm);
    else
        result = ioctl(vm->vcpu_fd, KVM_RUN, 0) < 0 ? -errno : (int)vm->run->exit_reason;
    if (result == -EINTR)
        vm->run->immediate_exit = 0;
    if (result < 0)
        vm->run->exit_reason = (uint32_t)result;
}

int kvm_vm_set_deadline(struct kvm_vm *vm, uint64_t nanoseconds)
{
    struct itimerspec when = {
        .it_value = {
            .tv_sec = (time_t)(nanoseconds / 1000000000u),
            .tv_nsec = (long)(nanoseconds % 1000000000u),
        },
    };
    uint64_t start = kvm_vm_stopwatch_start(vm);
    int result = timer_settime(vm->timer, 0, &when, NULL) < 0 ? -errno : 0;

    kvm_vm_stopwatch_stop(vm, start);
    return result;
}

void kvm_vm_kick(struct kvm_vm *vm)
{
    vm->run->immediate_exit = 1;
    syscall(SYS_tgkill, getpid(), vm->thread, kick_signal());
}

#define RUN(field) {"run." #field, offsetof(struct kvm_run, field)}
#define REGS(field) {"regs." #field, offsetof(struct kvm_regs, field)}
#define SREGS(field) {"sregs." #field, offsetof(struct kvm_sregs, field)}
#define SEGMENT(field) {"segment." #field, offsetof(struct kvm_segment, field)}
#define DEBUGREGS(field) {"debugregs." #field, offsetof(struct kvm_debugregs, field)}
#define EVENTS(field) {"events." #field, offsetof(struct kvm_vcpu_events, field)}
#define GUEST_DEBUG(field) {"guestdebug." #field, offsetof(struct kvm_guest_debug, field)}
#define CPUID(field) {"cpuid." #field, offsetof(struct kvm_cpuid_entry2, field)}
#define SIZE(name, type) {"size." name, sizeof(type)}

const struct kvm_layout_entry kvm_layout[] = {
    RUN(request_interrupt_window), RUN(exit_reason), RUN(ready_for_interrupt_injection),
    RUN(if_flag), RUN(cr8), RUN(apic_base), RUN(io.direction), RUN(io.size), RUN(io.port), RUN(io.count),
    RUN(io.data_offset), RUN(mmio.phys_addr), RUN(mmio.data), RUN(mmio.len), RUN(mmio.is_write),
    RUN(internal.suberror), RUN(internal.ndata), RUN(emulation_failure.flags),
    RUN(emulation_failure.insn_size), RUN(emulation_failure.insn_bytes),
    RUN(fail_entry.hardware_entry_failure_reason), RUN(debug.arch.dr6),
    REGS(rax), REGS(rbx), REGS(rcx), REGS(rdx), REGS(rsi), REGS(rdi), REGS(rsp), REGS(rbp),
    REGS(r8), REGS(r15), REGS(rip), REGS(rflags),
    SREGS(cs), SREGS(ds), SREGS(es), SREGS(fs), SREGS(gs), SREGS(ss), SREGS(tr), SREGS(ldt),
    SREGS(gdt), SREGS(idt), SREGS(cr0), SREGS(cr2), SREGS(cr3), SREGS(cr4), SREGS(cr8),
    SREGS(efer), SREGS(apic_base),
    SEGMENT(base), SEGMENT(limit), SEGMENT(selector), SEGMENT(type), SEGMENT(present),
    SEGMENT(dpl), SEGMENT(db), SEGMENT(s), SEGMENT(l), SEGMENT(g), SEGMENT(avl),
    SEGMENT(unusable),
    DEBUGREGS(db), DEBUGREGS(dr6), DEBUGREGS(dr7),
    GUEST_DEBUG(control), GUEST_DEBUG(arch.debugreg),
    EVENTS(exception.injected), EVENTS(exception.nr), EVENTS(exception.has_error_code),
    EVENTS(exception.pending), EVENTS(exception.error_code), EVENTS(interrupt.injected),
    EVENTS(interrupt.nr), EVENTS(interrupt.shadow), EVENTS(nmi.injected), EVENTS(nmi.pending),
    EVENTS(nmi.masked),
    {"xcrs.value", offsetof(struct kvm_xcrs, xcrs) + offsetof(struct kvm_xcr, value)},
    {"msrs.entries", offsetof(struct kvm_msrs, entries)},
    {"msrs.data", offsetof(struct kvm_msr_entry, data)},
    CPUID(function), CPUID(index), CPUID(eax), CPUID(ebx), CPUID(ecx), CPUID(edx),
    SIZE("regs", struct kvm_regs), SIZE("sregs", struct kvm_sregs), SIZE("xsave", struct kvm_xsave),
    SIZE("xcrs", struct kvm_xcrs), SIZE("debugregs", struct kvm_debugregs),
    SIZE("events", struct kvm_vcpu_events), SIZE("guestdebug", struct kvm_guest_debug), SIZE("msr", struct kvm_msr_entry),
    {"size.msrs", MSRS_SIZE},
    SIZE("cpuid", struct kvm_cpuid_entry2),
};
const size_t kvm_layout_count = sizeof kvm_layout / sizeof kvm_layout[0];
