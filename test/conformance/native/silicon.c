/*
 * silicon LIMIT RECORDS
 *
 * Runs single instructions natively, in this very process: standard input is a file of RECORDS
 * records, which are run one after the other and changed in place. See ../record.ts for records and
 * ../environment.ts for the world that an instruction finds. Which are run is read from descriptor 3,
 * as two 32-bit numbers: the first, and behind the last. When they have been, a byte goes to standard
 * output. An instruction that takes more than LIMIT milliseconds of processor time ends the process,
 * when it has taken twice as many at the latest.
 *
 * Faults come as signals, whose frames hold what the processor reported. Once set up, the process
 * gives up all system calls but read, write, exit and sigreturn: no instruction can do harm.
 *
 * Where the kernel does not let user code set the bases of FS and GS, they are zero in records, and
 * this process goes without thread-local storage once it has run the first.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <ucontext.h>
#include <unistd.h>

#define PAGE 0x1000u
#define CODE_PAGE 0x40000000u
#define CODE_OFFSET 0x800u
#define CODE_FILL 0xcc
#define CODE_SLOT 32
#define DATA 0x20000000u
#define DATA_SIZE 0x2000u
#define READ_ONLY 0x20010000u
#define MARKER_LENGTH 5
#define LONGEST_INSTRUCTION 15
#define LANDING (CODE_PAGE + CODE_OFFSET + MARKER_LENGTH + 0xccccccccu)
#define LANDING_PAGE (LANDING & ~(PAGE - 1))
#define CODE_64 0x33
#define DATA_SELECTOR 0x2b
#define HWCAP2_FSGSBASE 2
#define FIXED_FLAGS 0x202u
#define NO_FAULT 0xffffffffu
#define PAGE_FAULT 14
#define PAGE_PRESENT 1
/* What the kernel calls user addresses ends a page early. */
#define USER_END 0x7ffffffff000u
#define COMMANDS 3

struct record {
    uint64_t gpr[16];
    uint64_t rip, rflags, fs_base, gs_base;
    uint8_t fx[0x200];
    uint8_t pad1[0x20];
    uint64_t entry_frame[5];
    uint8_t pad2[8];
    uint32_t vector;
    uint32_t pad3;
    uint64_t cr2;
    uint8_t pad4[0x10];
    /* As the processor would push it; the error code is below. */
    uint64_t error_code, frame_rip, frame_cs, frame_rflags, frame_rsp, frame_ss;
    uint8_t code[CODE_SLOT];
    uint8_t stack[0xa0];
    uint8_t data[DATA_SIZE];
    uint8_t ymm_upper[16][16];
};

_Static_assert(offsetof(struct record, fx) == 0xa0, "fx");
_Static_assert(offsetof(struct record, entry_frame) == 0x2c0, "entry_frame");
_Static_assert(offsetof(struct record, vector) == 0x2f0, "vector");
_Static_assert(offsetof(struct record, cr2) == 0x2f8, "cr2");
_Static_assert(offsetof(struct record, error_code) == 0x310, "error_code");
_Static_assert(offsetof(struct record, code) == 0x340, "code");
_Static_assert(offsetof(struct record, data) == 0x400, "data");
_Static_assert(offsetof(struct record, ymm_upper) == 0x2400, "ymm_upper");

struct record current __attribute__((aligned(64)));
uint64_t host_rsp, host_fs_base;
/* Whether RDFSBASE and its like may be used. */
uint32_t bases;
/* Whether YMM registers have upper halves. */
uint32_t avx;
static volatile int running;
/* Instructions run so far, and when the timer last expired. */
static volatile uint64_t runs, runs_before;
static uint8_t *writable_code;

/* Loads the current record's registers and goes to its code; returns when that is over. */
void enter(void);
/* Where code and faults go; stores the registers. */
void saver(void);

#define EACH_REGISTER(line) \
    line(0) line(1) line(2) line(3) line(4) line(5) line(6) line(7) \
    line(8) line(9) line(10) line(11) line(12) line(13) line(14) line(15)
/* Into both halves: FXRSTOR loads the lower ones. */
#define LOAD_UPPER(n) "  vbroadcastf128 current+0x2400+16*" #n "(%rip), %ymm" #n "\n"
#define STORE_UPPER(n) "  vextractf128 $1, %ymm" #n ", current+0x2400+16*" #n "(%rip)\n"

__asm__(
    ".text\n"
    /* DS, ES, FS and GS are null in 64-bit processes, which 32-bit code cannot use. */
    "load_segments:\n"
    "  cmpl $0, bases(%rip)\n  je 1f\n"
    "  rdfsbase %rdx\n"
    "  mov %rdx, host_fs_base(%rip)\n"
    "1: mov $0x2b, %eax\n"
    "  mov %eax, %ds\n  mov %eax, %es\n  mov %eax, %fs\n  mov %eax, %gs\n"
    "  ret\n"
    "enter:\n"
    "  call load_segments\n"
    "  push %rbx\n  push %rbp\n  push %r12\n  push %r13\n  push %r14\n  push %r15\n"
    "  mov %rsp, host_rsp(%rip)\n"
    "  cmpl $0, bases(%rip)\n  je 1f\n"
    "  mov current+0x90(%rip), %rax\n  wrfsbase %rax\n"
    "  mov current+0x98(%rip), %rax\n  wrgsbase %rax\n"
    "1: cmpl $0, avx(%rip)\n  je 1f\n"
    EACH_REGISTER(LOAD_UPPER)
    "1: fxrstor64 current+0xa0(%rip)\n"
    "  lea current+0x2c0(%rip), %rsp\n"
    "  mov current+0x00(%rip), %rax\n  mov current+0x08(%rip), %rcx\n"
    "  mov current+0x10(%rip), %rdx\n  mov current+0x18(%rip), %rbx\n"
    "  mov current+0x28(%rip), %rbp\n"
    "  mov current+0x30(%rip), %rsi\n  mov current+0x38(%rip), %rdi\n"
    "  mov current+0x40(%rip), %r8\n   mov current+0x48(%rip), %r9\n"
    "  mov current+0x50(%rip), %r10\n  mov current+0x58(%rip), %r11\n"
    "  mov current+0x60(%rip), %r12\n  mov current+0x68(%rip), %r13\n"
    "  mov current+0x70(%rip), %r14\n  mov current+0x78(%rip), %r15\n"
    /* Serialises, as code that was written through another address needs. */
    "  iretq\n"
    "saver:\n"
    "  mov %rax, current+0x00(%rip)\n  mov %rcx, current+0x08(%rip)\n"
    "  mov %rdx, current+0x10(%rip)\n  mov %rbx, current+0x18(%rip)\n"
    "  mov %rsp, current+0x20(%rip)\n  mov %rbp, current+0x28(%rip)\n"
    "  mov %rsi, current+0x30(%rip)\n  mov %rdi, current+0x38(%rip)\n"
    "  mov %r8, current+0x40(%rip)\n   mov %r9, current+0x48(%rip)\n"
    "  mov %r10, current+0x50(%rip)\n  mov %r11, current+0x58(%rip)\n"
    "  mov %r12, current+0x60(%rip)\n  mov %r13, current+0x68(%rip)\n"
    "  mov %r14, current+0x70(%rip)\n  mov %r15, current+0x78(%rip)\n"
    "  lea current+0x90(%rip), %rsp\n  pushfq\n"
    "  lea current+0x400(%rip), %rsp\n  push $2\n  popfq\n"
    "  fxsave64 current+0xa0(%rip)\n"
    "  cmpl $0, avx(%rip)\n  je 1f\n"
    EACH_REGISTER(STORE_UPPER)
    "  vzeroupper\n"
    "1:\n"
    "  cmpl $0, bases(%rip)\n  je 1f\n"
    "  rdfsbase %rax\n  mov %rax, current+0x90(%rip)\n"
    "  rdgsbase %rax\n  mov %rax, current+0x98(%rip)\n"
    "  mov host_fs_base(%rip), %rax\n  wrfsbase %rax\n"
    "1: mov host_rsp(%rip), %rsp\n"
    "  pop %r15\n  pop %r14\n  pop %r13\n  pop %r12\n  pop %rbp\n  pop %rbx\n"
    "  ret\n");

static void fail(const char *what)
{
    fprintf(stderr, "%s: %s\n", what, strerror(errno));
    exit(1);
}

static void leave(int status)
{
    syscall(SYS_exit, status);
    __builtin_unreachable();
}

/* Thread-local storage is out of reach here: the FS base is the snippet's. */
static void on_fault(int signal, siginfo_t *info, void *context)
{
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

    /* Without AC, of which compilers know nothing. */
    __builtin_ia32_writeeflags_u64(FIXED_FLAGS);
    (void)signal;
    (void)info;
    if (!running)
        leave(3);
    current.vector = (uint32_t)registers[REG_TRAPNO];
    current.error_code = (uint64_t)registers[REG_ERR];
    current.cr2 = (uint64_t)registers[REG_CR2];
    /* The kernel hides which of its own pages are there by claiming it of all of them. */
    if (current.vector == PAGE_FAULT && current.cr2 >= USER_END)
        current.error_code &= ~(uint64_t)PAGE_PRESENT;
    current.frame_rip = (uint64_t)registers[REG_RIP];
    current.frame_rflags = (uint64_t)registers[REG_EFL];
    current.frame_rsp = (uint64_t)registers[REG_RSP];
    registers[REG_RIP] = (greg_t)(uintptr_t)saver;
    registers[REG_RSP] = (greg_t)(uintptr_t)current.data;
    registers[REG_EFL] = FIXED_FLAGS;
    registers[REG_CSGSFS] = (registers[REG_CSGSFS] & ~0xffffLL) | CODE_64;
}

/* Ends the process if the instruction is the one that was under way the last time. */
static void on_time(int signal)
{
    __builtin_ia32_writeeflags_u64(FIXED_FLAGS);
    (void)signal;
    if (running && runs == runs_before)
        leave(4);
    runs_before = runs;
}

static uint8_t *map(uint32_t address, size_t size, int protection, int file)
{
    int flags = MAP_POPULATE | (address != 0 ? MAP_FIXED_NOREPLACE : 0);
    void *result = mmap((void *)(uintptr_t)address, size, protection,
                        flags | (file < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), file, 0);

    if (result == MAP_FAILED)
        fail("mmap");
    return result;
}

/*
 * What markers lead to: NOPs, then a far jump that has one encoding in both modes. What it reads is
 * aligned, as AC may be set.
 */
static void map_landing(void)
{
    uint8_t *page = map(LANDING_PAGE, PAGE, PROT_READ | PROT_WRITE, -1);
    uint8_t *jump = page + (LANDING - LANDING_PAGE) + LONGEST_INSTRUCTION;
    uint8_t *pointer = (uint8_t *)(((uintptr_t)jump + 16 + 7) & ~(uintptr_t)7);
    uint8_t *target_address = pointer + 8, *trampoline = target_address + 8;
    uint32_t pointer_address = (uint32_t)(uintptr_t)pointer;
    uint32_t trampoline_address = (uint32_t)(uintptr_t)trampoline;
    uint64_t target = (uint64_t)(uintptr_t)saver;
    uint16_t selector = CODE_64;

    memset(page, 0x90, PAGE);
    memcpy(jump, "\xff\x2c\x25", 3); /* ljmp *disp32 */
    memcpy(jump + 3, &pointer_address, 4);
    memcpy(trampoline, "\xff\x25\xf2\xff\xff\xff", 6); /* jmp *-14(%rip) */
    memcpy(target_address, &target, 8);
    memcpy(pointer, &trampoline_address, 4);
    memcpy(pointer + 4, &selector, 2);
    if (mprotect(page, PAGE, PROT_READ | PROT_EXEC) < 0)
        fail("mprotect");
}

static void map_environment(void)
{
    int file = memfd_create("code", MFD_CLOEXEC);
    uint8_t *page;

    if (file < 0 || ftruncate(file, PAGE) < 0)
        fail("memfd_create");
    writable_code = map(0, PAGE, PROT_READ | PROT_WRITE, file);
    memset(writable_code, CODE_FILL, PAGE);
    map(CODE_PAGE, PAGE, PROT_READ | PROT_EXEC, file);
    map(DATA, DATA_SIZE, PROT_READ | PROT_WRITE, -1);
    page = map(READ_ONLY, PAGE, PROT_READ | PROT_WRITE, -1);
    for (uint32_t offset = 0; offset < PAGE; offset++)
        page[offset] = (uint8_t)~(offset * offset + (offset >> 3));
    if (mprotect(page, PAGE, PROT_READ) < 0 || mlockall(MCL_CURRENT) < 0)
        fail("mprotect");
    map_landing();
}

static void catch_faults(void)
{
    static const int signals[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
    static uint8_t stack[0x20000];
    stack_t alternative = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {
        .sa_sigaction = on_fault,
        .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER,
    };

    if (sigaltstack(&alternative, NULL) < 0)
        fail("sigaltstack");
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++)
        if (sigaction(signals[i], &action, NULL) < 0)
            fail("sigaction");
}

static void limit_time(unsigned long milliseconds)
{
    struct timeval interval = {
        .tv_sec = (time_t)(milliseconds / 1000),
        .tv_usec = (suseconds_t)(milliseconds % 1000 * 1000),
    };
    struct itimerval timer = {.it_interval = interval, .it_value = interval};
    struct sigaction action = {.sa_handler = on_time, .sa_flags = SA_ONSTACK | SA_RESTART};

    if (sigaction(SIGPROF, &action, NULL) < 0 || setitimer(ITIMER_PROF, &timer, NULL) < 0)
        fail("setitimer");
}

static struct record *map_records(size_t count)
{
    void *records = mmap(NULL, count * sizeof current, PROT_READ | PROT_WRITE, MAP_SHARED,
                         STDIN_FILENO, 0);

    if (records == MAP_FAILED)
        fail("mmap");
    return records;
}

static void run(struct record *record)
{
    static const char message[] = "this kernel does not let user code set the FS base\n";

    memcpy(&current, record, sizeof current);
    if (!bases && (current.fs_base | current.gs_base) != 0) {
        syscall(SYS_write, STDERR_FILENO, message, sizeof message - 1);
        leave(1);
    }
    current.vector = NO_FAULT;
    runs++;
    memcpy(writable_code + CODE_OFFSET, current.code, CODE_SLOT);
    memcpy((void *)(uintptr_t)DATA, current.data, DATA_SIZE);
    running = 1;
    enter();
    running = 0;
    memcpy(current.data, (void *)(uintptr_t)DATA, DATA_SIZE);
    memcpy(record, &current, sizeof current);
}

int main(int argc, char **argv)
{
    unsigned long limit = argc > 2 ? strtoul(argv[1], NULL, 10) : 0;
    size_t count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;
    struct record *records;
    uint32_t range[2];

    bases = (getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE) != 0;
    avx = __builtin_cpu_supports("avx") != 0;
    records = map_records(count);
    map_environment();
    catch_faults();
    limit_time(limit);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) < 0)
        fail("prctl");
    /* Not by way of functions that look for threads: these do so in thread-local storage. */
    while (syscall(SYS_read, COMMANDS, range, sizeof range) == sizeof range && range[1] <= count) {
        for (size_t i = range[0]; i < range[1]; i++)
            run(&records[i]);
        syscall(SYS_write, STDOUT_FILENO, range, 1);
    }
    leave(0);
}
