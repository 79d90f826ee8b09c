/* Single instructions that C has no words for. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdint.h>

#define MSR_FS_BASE 0xc0000100u

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value),
                       "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t rdtsc(void)
{
    uint32_t low, high;
    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

/* Keeps the compiler from moving memory accesses across this point. The
 * processor itself keeps stores in order and loads in order. */
static inline void compiler_barrier(void)
{
    __asm__ volatile("" : : : "memory");
}

/* A full fence: a store before it is visible before a load after it is made.
 * A locked read-modify-write of the stack does it as well as mfence, and is
 * the form that every instruction emulator knows. */
static inline void memory_barrier(void)
{
    __asm__ volatile("lock; addl $0, (%%rsp)" : : : "memory", "cc");
}

#endif
