/* Solo5's hvt interface, version 2, as its guests see it. */
#ifndef HVT_H
#define HVT_H

#include <stdint.h>

#include "../../../kernel/include/mft_abi.h"

struct boot_info {
    uint64_t mem_size;
    uint64_t kernel_end;
    uint64_t cpu_cycle_freq;
    const char *cmdline;
    const struct mft *mft;
    uint32_t host_features;
    uint32_t guest_features;
    struct ring *net_ring;
};

enum { WALLTIME = 1, PUTS, POLL, BLOCK_WRITE, BLOCK_READ, NET_WRITE, NET_READ, HALT };

struct walltime {
    uint64_t nsecs;
};
struct puts {
    const char *data;
    uint64_t len;
};
struct poll {
    uint64_t timeout_nsecs;
    uint64_t ready_set;
    int ret;
};
struct block {
    uint64_t handle;
    uint64_t offset;
    void *data;
    uint64_t len;
    int ret;
};
struct net {
    uint64_t handle;
    void *data;
    uint64_t len;
    int ret;
};
struct halt {
    void *cookie;
    int exit_status;
};

#define RING_SIZE 1024
enum { RING_NET_WRITE = 1, RING_NET_READ };

struct ring {
    volatile uint32_t ent_tail, com_head;
    uint8_t pad0[56];
    volatile uint32_t ent_head, com_tail, needs_kick;
    uint8_t pad1[52];
    struct {
        uint32_t operation, handle;
        void *data;
        uint32_t len, id;
        uint64_t reserved;
    } entries[RING_SIZE];
    struct {
        uint32_t id;
        int32_t ret;
        uint32_t len, reserved;
    } commits[RING_SIZE];
};

static inline void out32(uint16_t port, uint32_t value)
{
    __asm__ volatile("outl %0, %1" : : "a"(value), "d"(port) : "memory");
}

static inline void hypercall(int number, volatile void *argument)
{
    out32(0x500 + number, (uint32_t)(uintptr_t)argument);
}

static inline void ring_kick(void)
{
    out32(0x600, 0);
}

#endif
