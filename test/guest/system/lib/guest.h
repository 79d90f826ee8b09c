/*
 * What the guests of system tests share: results on the serial port, descriptors, and attempts at
 * instructions that may fault.
 */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;
typedef unsigned long long u64;

/* Selectors of the GDT that start.S makes; from FREE on there is room. */
#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_CODE   0x1b
#define USER_DATA   0x23
#define TSS         0x28
#define FREE        0x38
/* In 64-bit guests only: 32-bit code. */
#define COMPAT_CODE 0x38
#define USER_COMPAT 0x43
#define FREE_64     0x48

#define STRING_OF(text) #text
#define STRING(text)    STRING_OF(text)

/* An interrupt's frame, as start.S leaves it. */
struct frame {
    unsigned long registers[8];
    unsigned long vector, error, ip, cs, flags, sp, ss;
};

extern u64 gdt[];
extern u32 tss[];
extern u8 user_stack[];
extern void (*hooks[256])(struct frame *);

/* The exception that ended the last attempt; vector -1 if there was none. */
extern struct fault {
    int vector;
    u32 error;
    unsigned long ip, cr2;
} fault;

/* Written by code under attempt. */
extern volatile unsigned long result;

void print(const char *text);
void hex(u64 value, int digits);
/* "name: value" */
void show(const char *name, u64 value, int digits);
/*
 * "name: ok", or the exception: its vector, error code, offset from the attempt's start or address,
 * and CR2 of page faults.
 */
void report(const char *name);
/* A code or data segment; attributes are bits 40 to 47 and 52 to 55 of the descriptor. */
void set_descriptor(int selector, u32 base, u32 limit, u32 attributes);
/* A gate of the IDT is changed: its type, DPL and present bit. */
void set_gate_type(int vector, u8 type);
/* Ends the machine, which counts as success. */
void end(void) __attribute__((noreturn));
void guest_main(void);

static inline void out8(u16 port, u8 value) {
    asm volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static inline u8 in8(u16 port) {
    u8 value;
    asm volatile("inb %1, %0" : "=a"(value) : "Nd"(port));
    return value;
}

static inline void wrmsr(u32 msr, u64 value) {
    asm volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)));
}

static inline u64 rdmsr(u32 msr) {
    u32 low, high;
    asm volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

#ifdef __x86_64__
#define PUSH_ALL "push %%rax; push %%rbx; push %%rcx; push %%rdx; push %%rsi; push %%rdi;" \
                 "push %%rbp; push %%r8; push %%r9; push %%r10; push %%r11;"
#define POP_ALL  "pop %%r11; pop %%r10; pop %%r9; pop %%r8; pop %%rbp;" \
                 "pop %%rdi; pop %%rsi; pop %%rdx; pop %%rcx; pop %%rbx; pop %%rax;"
#define WORD     "q"
#define SP       "%%rsp"
#define AX       "%%rax"
#else
#define PUSH_ALL "pushal;"
#define POP_ALL  "popal;"
#define WORD     "l"
#define SP       "%%esp"
#define AX       "%%eax"
#endif

/*
 * Executes instructions that may fault: whatever happens, the program goes on behind them with all
 * registers and the flat segments back. Inputs are operands of extended assembly.
 */
#define ATTEMPT(code, ...)                                                     \
    asm volatile("movl $-1, fault;" PUSH_ALL "mov " SP ", saved_stack;"        \
                 "mov" WORD " $7771f, attempted; mov" WORD " $7772f, resume;"  \
                 "\n7771: " code "\n7772:"                                     \
                 "mov %%cs:saved_stack, " SP ";"                               \
                 "mov $" STRING(KERNEL_DATA) ", %%eax;"                        \
                 "mov %%eax, %%ds; mov %%eax, %%es;" POP_ALL                   \
                 :                                                             \
                 : __VA_ARGS__                                                 \
                 : "memory", "cc")

#define TRY(name, code, ...) do { ATTEMPT(code, __VA_ARGS__); report(name); } while (0)

/* Code of level 3 for an attempt, on a stack of its own; it leaves by a fault or an interrupt. */
#define USER(code) USER_FROM("user_stack", code)
#define USER_FROM(stack, code)                                                 \
    "push $" STRING(USER_DATA) "; push $" stack "; push $2;"                   \
    "push $" STRING(USER_CODE) "; push $7773f;"                                \
    "mov" WORD " $7773f, attempted; iret" WORD ";\n7773: "                     \
    "mov $" STRING(USER_DATA) ", %%eax; mov %%eax, %%ds; mov %%eax, %%es;"     \
    code "; int $0x80"
