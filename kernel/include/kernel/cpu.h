/* Single instructions that C has no words for. */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdint.h>

#define MSR_FS_BASE 0xc0000100u

/* Intel SDM vol. 3A, 2.5; vol. 2A, CPUID, table 3-10; vol. 1, 13.3. */
#define CR4_OSXSAVE 0x40000u
#define CPUID_XSAVE 0x04000000u
#define CPUID_AVX   0x10000000u
#define XCR0_X87 1u
#define XCR0_SSE 2u
#define XCR0_AVX 4u

static inline void wrmsr(uint32_t msr, uint64_t value)
{
    __asm__ volatile("wrmsr"
                     :
                     : "c"(msr), "a"((uint32_t)value),
                       "d"((uint32_t)(value >> 32))
                     : "memory");
}

static inline uint64_t read_cr4(void)
{
    uint64_t value;
    __asm__ volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static inline void write_cr4(uint64_t value)
{
    __asm__ volatile("mov %0, %%cr4" : : "r"(value) : "memory");
}

/* ECX of CPUID leaf 1. */
static inline uint32_t cpu_features(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;
    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ecx;
}

/* Sets XCR0: the parts of the state that XSAVE saves and code may use. */
static inline void xsetbv(uint32_t components)
{
    __asm__ volatile("xsetbv" : : "c"(0), "a"(components), "d"(0) : "memory");
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
