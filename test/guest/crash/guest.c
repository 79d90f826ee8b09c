/* Ends as CRASH says, some calls deep. The functions are kept apart so that each
 * is a frame of its own. */
#include <stdint.h>

#define FRAME __attribute__((noinline, noclone, noipa))

extern char directories[];

static volatile uint64_t sink;
void *volatile nowhere = (void *)0xe0000000;

struct gate {
    uint16_t low, selector, options, middle;
    uint32_t high, reserved;
};
static struct gate idt[0x41];

static void load_idt(void *base, uint16_t limit)
{
    struct {
        uint16_t limit;
        void *base;
    } __attribute__((packed)) table = {limit, base};

    __asm__ volatile("lidt %0" : : "m"(table));
}

FRAME static void out(uint16_t port, uint16_t value)
{
    __asm__ volatile("outw %0, %1" : : "a"(value), "d"(port));
}

FRAME static void triple_fault(uint64_t *to)
{
    load_idt(0, 0);
    sink++;
    *to = 1;
}

FRAME static void leave_memory(uint64_t *unused)
{
    (void)unused;
    ((void (*)(void))nowhere)();
    sink++;
}

FRAME void halt_for_ever(uint64_t depth)
{
    uint64_t words[16];

    for (int i = 0; i < 16; i++)
        words[i] = depth;
    sink += words[depth & 15];
    __asm__ volatile("cli; hlt" : : "r"(words) : "memory");
    sink++;
}

/* A handler that keeps RBP for something else, as compiled code does. */
__asm__(".globl handler\n"
        "handler:\n"
        "    pushq %rax\n"
        "    pushq %rbp\n"
        "    movl $3, %ebp\n"
        "    movl %ebp, %edi\n"
        "    call halt_for_ever\n"
        "    popq %rbp\n"
        "    popq %rax\n"
        "    iretq\n");
extern char handler[];

FRAME static void halt_in_handler(uint64_t *unused)
{
    uintptr_t address = (uintptr_t)handler;

    (void)unused;
    idt[0x40] = (struct gate){(uint16_t)address, 8, 0x8e00,
                              (uint16_t)(address >> 16), 0, 0};
    load_idt(idt, sizeof(idt) - 1);
    __asm__ volatile("int $0x40");
    sink++;
}

FRAME static void give_up(uint64_t *unused)
{
    (void)unused;
    out(0x501, 0x53ff);
    sink++;
}

/* A frame of a size that is not known before. */
FRAME static void variable(void (*end)(uint64_t *), uint64_t count)
{
    uint64_t words[count];

    for (uint64_t i = 0; i < count; i++)
        words[i] = i;
    end((uint64_t *)(words[count - 1] + 0x4000000000 - 2));
    sink += words[0];
}

FRAME static void chosen(int how)
{
    switch (how) {
    case 0: variable(triple_fault, 3); break;
    case 1: variable(leave_memory, 4); break;
    case 2: variable(halt_in_handler, 5); break;
    default: variable(give_up, 6); break;
    }
    sink++;
}

FRAME static void deep(int how, int depth)
{
    if (depth == 0)
        chosen(how);
    else
        deep(how, depth - 1);
    sink++;
}

void guest_main(void);
void guest_main(void)
{
    deep(CRASH, 2);
    for (;;)
        ;
}
