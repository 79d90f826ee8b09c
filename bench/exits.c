/*
 * The least that a monitor can do: a loop of `out` or `in` in a virtual machine, and nothing but
 * KVM_RUN around it. What bench/exits.ts compares our run loop with.
 *
 *     exits FILE PORT
 *
 * FILE holds real-mode code for 0x1000, which accesses PORT and then halts. Prints the number of
 * exits, the nanoseconds they took, and how many of those on a processor.
 */
#include <err.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CODE        0x1000
#define MEMORY_SIZE 0x10000
#define TSS_ADDRESS 0xfffbd000

static int must(int result, const char *what)
{
    if (result < 0)
        err(1, "%s", what);
    return result;
}

static void *map(size_t size, int fd)
{
    int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);

    if (memory == MAP_FAILED)
        err(1, "mmap");
    return memory;
}

static void load(uint8_t *memory, const char *path)
{
    int fd = must(open(path, O_RDONLY), path);

    must((int)read(fd, memory + CODE, MEMORY_SIZE - CODE), path);
    close(fd);
}

static void set_registers(int vcpu)
{
    struct kvm_sregs sregs;
    struct kvm_regs regs = {.rip = CODE, .rsp = CODE, .rflags = 2};

    must(ioctl(vcpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
    sregs.cs.base = 0;
    sregs.cs.selector = 0;
    must(ioctl(vcpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
    must(ioctl(vcpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
}

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* Serves accesses to `port` until the guest halts; returns how many. */
static uint64_t serve(int vcpu, struct kvm_run *run, uint16_t port)
{
    for (uint64_t exits = 0;; exits++) {
        must(ioctl(vcpu, KVM_RUN, 0), "KVM_RUN");
        if (run->exit_reason == KVM_EXIT_HLT)
            return exits;
        if (run->exit_reason != KVM_EXIT_IO || run->io.port != port)
            errx(1, "exit %u after %llu", run->exit_reason, (unsigned long long)exits);
        if (run->io.direction == KVM_EXIT_IO_IN)
            memset((uint8_t *)run + run->io.data_offset, 0xff, run->io.size * run->io.count);
    }
}

int main(int argc, char *argv[])
{
    if (argc != 3)
        errx(1, "usage: exits FILE PORT");
    int kvm = must(open("/dev/kvm", O_RDWR), "/dev/kvm");
    int vm = must(ioctl(kvm, KVM_CREATE_VM, 0), "KVM_CREATE_VM");
    must(ioctl(vm, KVM_SET_TSS_ADDR, TSS_ADDRESS), "KVM_SET_TSS_ADDR");
    uint8_t *memory = map(MEMORY_SIZE, -1);
    load(memory, argv[1]);
    struct kvm_userspace_memory_region region = {
        .memory_size = MEMORY_SIZE,
        .userspace_addr = (uint64_t)(uintptr_t)memory,
    };
    must(ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
    int vcpu = must(ioctl(vm, KVM_CREATE_VCPU, 0), "KVM_CREATE_VCPU");
    int size = must(ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), "KVM_GET_VCPU_MMAP_SIZE");
    struct kvm_run *run = map((size_t)size, vcpu);
    set_registers(vcpu);

    uint64_t start = nanoseconds(CLOCK_MONOTONIC);
    uint64_t cpu_start = nanoseconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t exits = serve(vcpu, run, (uint16_t)strtoul(argv[2], NULL, 0));
    uint64_t cpu_time = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - cpu_start;
    printf("%llu %llu %llu\n", (unsigned long long)exits,
           (unsigned long long)(nanoseconds(CLOCK_MONOTONIC) - start),
           (unsigned long long)cpu_time);
    return 0;
}
