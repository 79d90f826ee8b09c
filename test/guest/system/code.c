/* Code that changes: the next instruction, the same page, other pages, other mappings, reloads. */
#include "guest.h"

static u8 area[3 * 4096] __attribute__((aligned(4096)));
typedef u32 function(void);

static u8 *put(u8 *at, const void *bytes, u32 length) {
    for (u32 n = 0; n < length; n++) at[n] = ((const u8 *)bytes)[n];
    return at + length;
}

/* mov $value, %eax; ret */
static u8 *put_return(u8 *at, u32 value) {
    static const u8 ret = 0xc3, mov = 0xb8;
    at = put(at, &mov, 1);
    at = put(at, &value, 4);
    return put(at, &ret, 1);
}

static u32 call(void *code) { return ((function *)code)(); }

static void next_instruction(void) {
    u32 value;
    print("next instruction\n");
    for (u32 n = 1; n <= 3; n++) {
        asm volatile("movl %1, 1f + 1; 1: mov $0, %0" : "=a"(value) : "r"(n * 0x11111111) : "memory");
        show("stored", value, 8);
    }
    asm volatile("xor %%eax, %%eax; movw $0x9090, 1f; 1: inc %%eax; inc %%eax; mov %%eax, %0"
                 : "=r"(value) : : "eax", "memory");
    show("replaced", value, 1);
    asm volatile("mov $1f, %%edi; mov $0x40, %%al; mov $6, %%ecx; xor %%ebx, %%ebx; rep stosb;"
                 "mov $0, %%eax; 1: .skip 6, 0x90; mov %%eax, %0"
                 : "=r"(value) : : "eax", "ebx", "ecx", "edi", "memory");
    show("by a string", value, 1);
}

static void pages(void) {
    print("pages\n");
    put_return(area, 1);
    show("first", call(area), 1);
    put_return(area, 2);
    show("overwritten", call(area), 1);
    area[1] = 3;
    show("a byte of it", call(area), 1);
    u32 sum = 0;
    for (u32 n = 0; n < 200; n++) {
        area[1] = (u8)n;
        sum += call(area);
    }
    show("in turns", sum, 8);
    put_return(area + 4096 - 3, 4);
    show("across pages", call(area + 4096 - 3), 1);
    area[4096 - 2] = 5;
    show("its first page", call(area + 4096 - 3), 1);
    area[4096] = 1;
    show("its second page", call(area + 4096 - 3), 8);
    put_return(area + 4096, 6);
    /* jmp to the second page at the end of the first one */
    put(area + 4096 - 5, "\xe9\x00\x00\x00", 5);
    show("jump across", call(area + 4096 - 5), 1);
    put_return(area + 4096, 7);
    show("target changed", call(area + 4096 - 5), 1);
    put_return(area + 2 * 4096, 8);
    show("elsewhere", call(area + 2 * 4096), 1);
    for (u32 n = 0; n < 4096; n++) area[n] = area[n + 2 * 4096];
    show("copied over", call(area), 1);
    asm volatile("cld; rep movsl" : : "S"(area + 4096), "D"(area), "c"(1024) : "memory");
    show("copied by a string", call(area), 1);
}

/* Counts down in code that writes its own counter's immediate. */
static void loops(void) {
    u32 value;
    print("loops\n");
    asm volatile("mov $100, %%ecx; xor %%eax, %%eax; 1: addl $1, 2f + 2; 2: addl $0x100, %%eax;"
                 "dec %%ecx; jnz 1b; mov %%eax, %0" : "=r"(value) : : "eax", "ecx", "memory", "cc");
    show("sum", value, 8);
    asm volatile("mov $3, %%ecx; xor %%eax, %%eax; 1: inc %%eax; xorb $8, 1b; dec %%ecx; jnz 1b;"
                 "mov %%eax, %0" : "=r"(value) : : "eax", "ecx", "memory", "cc");
    show("inc and dec", value, 8);
}

void guest_main(void) {
    next_instruction();
    pages();
    loops();
}
