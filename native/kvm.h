/*
 * The KVM ioctls of one virtual machine with one vCPU: mechanism only. Nothing here knows a device
 * or decides anything.
 *
 * Functions return 0 (or a value >= 0) or a negative errno. All of them must be called on the
 * thread that called kvm_vm_open(), except kvm_vm_kick().
 */
#ifndef SOLO5_KVM_KVM_H
#define SOLO5_KVM_KVM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

struct kvm_run;

struct kvm_vm {
    int kvm_fd;
    int vm_fd;
    int vcpu_fd;
    struct kvm_run *run;
    size_t run_size;
    pid_t thread;
    timer_t timer;
    int has_timer;
    /* Whether to measure. */
    int timed;
    /* In KVM_RUN and the calls around it. */
    uint64_t cpu_nanoseconds;
    /* From the return of KVM_RUN to its next call, less the calls around it: the caller's part. */
    uint64_t exit_nanoseconds;
    uint64_t exit_start;
};

#define KVM_STATE_MSR_COUNT 16

/* The vCPU state that kvm_vm_get() and kvm_vm_set() copy, in KVM's own layouts. */
enum kvm_state {
    KVM_STATE_REGS,
    KVM_STATE_SREGS,
    KVM_STATE_XSAVE,
    KVM_STATE_XCRS,
    KVM_STATE_DEBUGREGS,
    KVM_STATE_EVENTS,
    /* A struct kvm_msrs with room for KVM_STATE_MSR_COUNT; also when reading, it says which. */
    KVM_STATE_MSRS,
    /* What the guest stops at for a debugger: KVM takes it, and does not tell it. */
    KVM_STATE_GUEST_DEBUG,
    KVM_STATE_COUNT
};

/* On failure, *what names the call that failed. Must be undone with kvm_vm_close(). */
int kvm_vm_open(struct kvm_vm *vm, const char *device, const char **what);

/* Frees everything but the kvm_run mapping, which JavaScript may still see: see kvm_vm_unmap_run(). */
void kvm_vm_close(struct kvm_vm *vm);
void kvm_vm_unmap_run(void *run, size_t size);

int kvm_vm_check_extension(struct kvm_vm *vm, int capability);
/* Read-only: a write by the guest leaves it as an access to memory-mapped I/O. */
int kvm_vm_map_memory(struct kvm_vm *vm, uint32_t slot, uint64_t gpa, void *host, uint64_t size,
                      int read_only);

size_t kvm_state_size(enum kvm_state state);
/* For MSRs the result is how many were copied: KVM stops at the first that it does not have. */
int kvm_vm_get(struct kvm_vm *vm, enum kvm_state state, void *to);
int kvm_vm_set(struct kvm_vm *vm, enum kvm_state state, const void *from);

/* Ticks of the guest's time stamp counter in a millisecond. */
int kvm_vm_tsc_khz(struct kvm_vm *vm);

/* Entries are struct kvm_cpuid_entry2. Returns how many were written, or a negative errno. */
int kvm_vm_supported_cpuid(struct kvm_vm *vm, void *entries, uint32_t capacity);
/* Must come before the first kvm_vm_run(). */
int kvm_vm_set_cpuid(struct kvm_vm *vm, const void *entries, uint32_t count);
size_t kvm_cpuid_entry_size(void);

/* Guest physical address of a linear address under the vCPU's present paging; -EFAULT if unmapped. */
int kvm_vm_translate(struct kvm_vm *vm, uint64_t linear, uint64_t *gpa);

/* Only while kvm_run says ready_for_interrupt_injection. */
int kvm_vm_interrupt(struct kvm_vm *vm, uint32_t vector);

/* Taken before any interrupt, as soon as the guest is not in a handler of another one. */
int kvm_vm_nmi(struct kvm_vm *vm);

/* KVM_RUN. A failure leaves its negative errno as exit_reason: -EINTR after a kick or at the deadline. */
void kvm_vm_run(struct kvm_vm *vm);

/* Around a system call that is made on the CPU's behalf. */
uint64_t kvm_vm_stopwatch_start(const struct kvm_vm *vm);
void kvm_vm_stopwatch_stop(struct kvm_vm *vm, uint64_t start);

/* Makes kvm_vm_run() return in `nanoseconds` from now; 0 cancels. A later call replaces it. */
int kvm_vm_set_deadline(struct kvm_vm *vm, uint64_t nanoseconds);

/* Offsets and sizes of KVM's structures, for the TypeScript twin of these layouts. */
struct kvm_layout_entry {
    const char *name;
    size_t value;
};
extern const struct kvm_layout_entry kvm_layout[];
extern const size_t kvm_layout_count;

/* Makes the present or the next kvm_vm_run() return. From any thread. */
void kvm_vm_kick(struct kvm_vm *vm);

#endif
