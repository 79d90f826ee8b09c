/* 32-bit paging and PAE: permissions, error codes, accessed and dirty flags, reserved bits. */
#include "guest.h"

#define PRESENT  0x001
#define WRITABLE 0x002
#define USER_BIT 0x004
#define ACCESSED 0x020
#define DIRTY    0x040
#define LARGE    0x080
#define GLOBAL   0x100
#define NX       (1ull << 63)
#define ALL      (PRESENT | WRITABLE | USER_BIT)

#define CR0_WP   0x00010000
#define CR0_PG   0x80000000
#define CR4_PSE  0x10
#define CR4_PAE  0x20
#define CR4_PGE  0x80
#define EFER     0xc0000080
#define EFER_NXE 0x800

/* Linear addresses of the page under test, and of a 4 or 2 MiB one. */
#define PAGE     0x40000000
#define BIG_PAGE 0x80000000

static u32 directory[1024] __attribute__((aligned(4096)));
static u32 table[1024] __attribute__((aligned(4096)));
static u64 pointers[4] __attribute__((aligned(32)));
static u64 directories[4][512] __attribute__((aligned(4096)));
static u64 table64[512] __attribute__((aligned(4096)));
static u8 frames[3][4096] __attribute__((aligned(4096)));

static u32 read_cr0(void) {
    u32 value;
    asm volatile("mov %%cr0, %0" : "=r"(value));
    return value;
}

static void write_cr0(u32 value) { asm volatile("mov %0, %%cr0" : : "r"(value) : "memory"); }
static void write_cr3(const void *root) { asm volatile("mov %0, %%cr3" : : "r"(root) : "memory"); }

static u32 read_cr4(void) {
    u32 value;
    asm volatile("mov %%cr4, %0" : "=r"(value));
    return value;
}

static void write_cr4(u32 value) { asm volatile("mov %0, %%cr4" : : "r"(value) : "memory"); }
static void invalidate(u32 address) { asm volatile("invlpg (%0)" : : "r"(address) : "memory"); }

#define READ(address)  "movl " STRING(address) ", %%eax"
#define WRITE(address) "movl %%eax, " STRING(address)

static void entries(void) {
    show("directory entry", directory[PAGE >> 22] & 0xfff, 3);
    show("table entry", table[0] & 0xfff, 3);
}

static void set(u32 directory_flags, u32 flags) {
    directory[PAGE >> 22] = (u32)table | directory_flags;
    table[0] = (u32)frames[0] | flags;
    table[1] = (u32)frames[1] | ALL;
    invalidate(PAGE);
    invalidate(PAGE + 0x1000);
}

static void accessed_and_dirty(void) {
    print("accessed and dirty\n");
    set(ALL, ALL);
    entries();
    TRY("read", READ(PAGE));
    entries();
    TRY("write", WRITE(PAGE));
    entries();
    set(ALL, ALL);
    TRY("write", WRITE(PAGE));
    entries();
    set(ALL, PRESENT);
    write_cr0(read_cr0() | CR0_WP);
    TRY("write refused", WRITE(PAGE));
    show("table entry", table[0] & 0xfff, 3);
    write_cr0(read_cr0() & ~(u32)CR0_WP);
    set(ALL, ALL);
    TRY("change", "addl $1, " STRING(PAGE));
    entries();
}

static void permissions(void) {
    static const u32 flags[] = {0, PRESENT, PRESENT | WRITABLE, PRESENT | USER_BIT, ALL};
    for (int protected = 0; protected < 2; protected++) {
        write_cr0((read_cr0() & ~(u32)CR0_WP) | (protected ? CR0_WP : 0));
        show("write protection", (u64)protected, 1);
        for (unsigned outer = 0; outer < 5; outer++)
            for (unsigned inner = 0; inner < 5; inner++) {
                set(flags[outer], flags[inner]);
                show("directory", flags[outer], 1);
                show("table", flags[inner], 1);
                TRY("read", READ(PAGE));
                TRY("write", WRITE(PAGE));
                TRY("user read", USER(READ(PAGE)));
                TRY("user write", USER(WRITE(PAGE)));
            }
    }
    write_cr0(read_cr0() & ~(u32)CR0_WP);
}

static void across_pages(void) {
    print("across pages\n");
    set(ALL, ALL);
    table[1] = 0;
    invalidate(PAGE + 0x1000);
    TRY("read", READ(PAGE + 0xffe));
    *(volatile u32 *)(PAGE + 0xffc) = 0x11223344;
    TRY("write", WRITE(PAGE + 0xffe));
    show("nothing written", *(volatile u32 *)(PAGE + 0xffc), 8);
    TRY("push", USER_FROM("0x40001002", "push %%eax"));
    TRY("jump", "mov $" STRING(PAGE) "+ 0xffe, %%eax; movw $0xb890, (%%eax); jmp *%%eax");
    table[0] = 0;
    table[1] = (u32)frames[1] | ALL;
    invalidate(PAGE);
    invalidate(PAGE + 0x1000);
    TRY("read", READ(PAGE + 0xffe));
    TRY("jump", "mov $" STRING(PAGE) "+ 0x10, %%eax; jmp *%%eax");
    show("cr2 of what is not a page fault", (u64)(fault.cr2 == PAGE + 0x10), 1);
}

static void remapping(void) {
    print("remapping\n");
    set(ALL, ALL);
    frames[0][0] = 0x11;
    frames[1][0] = 0x22;
    show("before", *(volatile u8 *)PAGE, 2);
    table[0] = (u32)frames[1] | ALL;
    invalidate(PAGE);
    show("after invlpg", *(volatile u8 *)PAGE, 2);
    table[0] = (u32)frames[0] | ALL;
    write_cr3(directory);
    show("after mov cr3", *(volatile u8 *)PAGE, 2);
    table[0] = (u32)frames[0] | ALL | GLOBAL;
    write_cr4(read_cr4() | CR4_PGE);
    (void)*(volatile u8 *)PAGE;
    table[0] = (u32)frames[1] | ALL | GLOBAL;
    invalidate(PAGE);
    show("global, after invlpg", *(volatile u8 *)PAGE, 2);
    table[0] = (u32)frames[0] | ALL | GLOBAL;
    write_cr4(read_cr4() & ~(u32)CR4_PGE);
    show("global, after mov cr4", *(volatile u8 *)PAGE, 2);
    table[0] = 0;
    invalidate(PAGE);
    TRY("unmapped", READ(PAGE));
    table[0] = (u32)frames[0] | ALL;
    TRY("mapped without invlpg", READ(PAGE));
}

static void large_pages(void) {
    print("large pages\n");
    directory[BIG_PAGE >> 22] = ALL | LARGE;
    invalidate(BIG_PAGE);
    TRY("read", READ(BIG_PAGE + 0x100000));
    show("entry", directory[BIG_PAGE >> 22], 8);
    TRY("write", WRITE(BIG_PAGE + 0x200000));
    show("entry", directory[BIG_PAGE >> 22], 8);
    directory[BIG_PAGE >> 22] = ALL | LARGE | 0x200000;
    invalidate(BIG_PAGE);
    TRY("reserved bit", READ(BIG_PAGE));
    TRY("reserved bit, user", USER(WRITE(BIG_PAGE)));
}

static void pae(void) {
    write_cr0(read_cr0() & ~(u32)CR0_PG);
    for (u32 n = 0; n < 2048; n++) directories[n >> 9][n & 511] = 0;
    for (u32 n = 0; n < 8; n++) directories[0][n] = n << 21 | LARGE | ALL;
    for (u32 n = 0; n < 4; n++) pointers[n] = (u32)directories[n] | PRESENT;
    directories[1][0] = (u32)table64 | ALL;
    table64[0] = (u32)frames[0] | ALL;
    write_cr4(read_cr4() | CR4_PAE);
    wrmsr(EFER, rdmsr(EFER) | EFER_NXE);
    write_cr3(pointers);
    write_cr0(read_cr0() | CR0_PG);
    print("pae\n");
    TRY("read", READ(PAGE));
    show("entry", table64[0] & 0xfff, 3);
    frames[0][0] = 0xf4;
    TRY("execute", USER("mov $" STRING(PAGE) ", %%eax; jmp *%%eax"));
    table64[0] = (u32)frames[0] | ALL | NX;
    invalidate(PAGE);
    TRY("not executable", USER("mov $" STRING(PAGE) ", %%eax; jmp *%%eax"));
    TRY("not executable, level 0", "mov $" STRING(PAGE) ", %%eax; jmp *%%eax");
    TRY("but readable", READ(PAGE));
    table64[0] = (u32)frames[0] | ALL | 1ull << 62;
    invalidate(PAGE);
    TRY("reserved bit 62", READ(PAGE));
    table64[0] = (u32)frames[0] | ALL | 1ull << 51;
    invalidate(PAGE);
    TRY("reserved address bit", READ(PAGE));
    TRY("reserved address bit, write", WRITE(PAGE));
    table64[0] = (u32)frames[0] | ALL;
    directories[1][0] = (u32)table64 | ALL | NX;
    invalidate(PAGE);
    TRY("directory not executable", "mov $" STRING(PAGE) ", %%eax; jmp *%%eax");
    directories[2][0] = ALL | LARGE | 0x2000;
    invalidate(BIG_PAGE);
    TRY("large, reserved bit", READ(BIG_PAGE));
    directories[2][0] = ALL | LARGE;
    invalidate(BIG_PAGE);
    TRY("large", WRITE(BIG_PAGE + 0x1ffffc));
    show("entry", directories[2][0], 8);
    pointers[3] = 0;
    write_cr3(pointers);
    TRY("pointer not present", READ(0xc0000000));
    pointers[3] = (u32)directories[3] | PRESENT | 0x100;
    TRY("pointer with a reserved bit", "mov %0, %%cr3", "r"(pointers));
    pointers[3] = (u32)directories[3] | PRESENT;
    directories[3][0] = ALL | LARGE;
    TRY("pointers are loaded with cr3 only", READ(0xc0000000));
    write_cr3(pointers);
    TRY("now", READ(0xc0000000));
    wrmsr(EFER, rdmsr(EFER) & ~(u64)EFER_NXE);
    directories[1][0] = (u32)table64 | ALL;
    table64[0] = (u32)frames[0] | ALL | NX;
    write_cr3(pointers);
    TRY("nx without efer.nxe", READ(PAGE));
    table64[0] = (u32)frames[0] | ALL;
    invalidate(PAGE);
    TRY("page fault of code without it", "mov $0x40001000, %%eax; jmp *%%eax");
}

void guest_main(void) {
    for (u32 n = 0; n < 4; n++) directory[n] = n << 22 | LARGE | ALL;
    write_cr4(read_cr4() | CR4_PSE);
    write_cr3(directory);
    write_cr0(read_cr0() | CR0_PG);
    accessed_and_dirty();
    permissions();
    across_pages();
    remapping();
    large_pages();
    pae();
}
