/*
 * A unikernel that does one thing with its tender's interface, which its command line names, and
 * prints what came of it.
 */
#include "hvt.h"

#define MFT_ENTRIES_HERE 4
struct manifest_note {
    struct mft1_nhdr h;
    struct {
        uint32_t version, entries;
        struct mft_entry e[MFT_ENTRIES_HERE];
    } m;
};

const char interpreter[24] __attribute__((section(".interp"), used)) = "/nonexistent/solo5/";

const struct {
    struct mft1_nhdr h;
    uint32_t target, version, reserved[2];
} abi_note __attribute__((section(".note.abi"), aligned(4), used)) = {
    {6, 16, 0x31494241, "Solo5"}, 1, 2, {0, 0}};

const struct manifest_note manifest __attribute__((section(".note.manifest"), aligned(8), used)) = {
    {6, sizeof(struct manifest_note) - sizeof(struct mft1_nhdr), MFT1_NOTE_TYPE, "Solo5"},
    {MFT_VERSION,
     MFT_ENTRIES_HERE,
     {{.type = MFT_RESERVED_FIRST},
      {.name = "disk", .type = MFT_DEV_BLOCK_BASIC},
      {.name = "lan", .type = MFT_DEV_NET_BASIC},
      {.name = "wan", .type = MFT_DEV_NET_BASIC}}}};
enum { DISK = 1, LAN = 2, WAN = 3 };

static char line[256];
static unsigned length;
static char buffer[4096];

static void say(const char *text)
{
    while (*text != '\0' && length < sizeof line)
        line[length++] = *text++;
}

static void say_number(uint64_t value)
{
    char digits[20];
    unsigned count = 0;

    do
        digits[count++] = (char)('0' + value % 10);
    while ((value /= 10) != 0);
    while (count > 0 && length < sizeof line)
        line[length++] = digits[--count];
}

static void field(const char *name, uint64_t value)
{
    say(name);
    say(" ");
    say_number(value);
    say("  ");
}

static void flush(void)
{
    struct puts puts = {line, length};

    say("\n");
    puts.len = length;
    hypercall(PUTS, &puts);
    length = 0;
}

static __attribute__((noreturn)) void end(int status)
{
    struct halt halt = {0, status};

    hypercall(HALT, &halt);
    for (;;)
        ;
}

static int is(const char *one, const char *other)
{
    while (*one != '\0' && *one == *other)
        one++, other++;
    return *one == *other;
}

static uint64_t ticks(void)
{
    uint32_t low, high;

    __asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
    return (uint64_t)high << 32 | low;
}

static void tell_start(const struct boot_info *info, uint64_t rsp, uint64_t rflags)
{
    uint64_t cr0, cr3, cr4;
    uint32_t efer, high;

    __asm__("mov %%cr0, %0" : "=r"(cr0));
    __asm__("mov %%cr3, %0" : "=r"(cr3));
    __asm__("mov %%cr4, %0" : "=r"(cr4));
    __asm__("rdmsr" : "=a"(efer), "=d"(high) : "c"(0xc0000080));
    field("info", (uint64_t)info);
    field("stack", info->mem_size - rsp);
    field("rflags", rflags);
    field("cr0", cr0);
    field("cr3", cr3);
    field("cr4", cr4);
    field("efer", efer);
    flush();
    field("memory", info->mem_size);
    field("end", info->kernel_end);
    field("features", info->host_features);
    field("ring", (uint64_t)info->net_ring);
    flush();
    for (unsigned i = 1; i < info->mft->entries; i++) {
        const struct mft_entry *e = &info->mft->e[i];

        say(e->name);
        say(": ");
        field("type", e->type);
        field("attached", e->attached);
        if (e->type == MFT_DEV_BLOCK_BASIC) {
            field("capacity", e->u.block_basic.capacity);
            field("block", e->u.block_basic.block_size);
        } else {
            field("mac", e->u.net_basic.mac[0]);
            field("last", e->u.net_basic.mac[5]);
            field("mtu", e->u.net_basic.mtu);
        }
        flush();
    }
}

static void tell_time(const struct boot_info *info)
{
    struct walltime before = {0}, after = {0};
    struct poll poll = {100000000, 99, 99};
    uint64_t start, elapsed;

    hypercall(WALLTIME, &before);
    start = ticks();
    hypercall(POLL, &poll);
    elapsed = (ticks() - start) * 1000 / (info->cpu_cycle_freq / 1000000);
    hypercall(WALLTIME, &after);
    field("wall", before.nsecs / 1000000000);
    field("by wall", (after.nsecs - before.nsecs) / 1000000);
    field("by tsc", elapsed / 1000000);
    field("ready", poll.ready_set);
    field("ret", (uint64_t)poll.ret);
    flush();
}

static int block(int number, uint64_t handle, uint64_t offset, void *data, uint64_t len)
{
    struct block call = {handle, offset, data, len, 99};

    hypercall(number, &call);
    return call.ret;
}

static void use_disk(const struct boot_info *info)
{
    uint64_t capacity = info->mft->e[DISK].u.block_basic.capacity;

    for (unsigned i = 0; i < sizeof buffer; i++)
        buffer[i] = (char)i;
    field("write", block(BLOCK_WRITE, DISK, 512, buffer, 1024));
    field("read", block(BLOCK_READ, DISK, 1024, buffer, 512));
    field("second", (unsigned char)buffer[1]);
    field("past", block(BLOCK_READ, DISK, capacity, buffer, 512));
    field("across", block(BLOCK_WRITE, DISK, capacity - 512, buffer, 1024));
    field("huge", block(BLOCK_READ, DISK, ~0ULL - 511, buffer, 512));
    field("net", block(BLOCK_READ, LAN, 0, buffer, 512));
    field("none", block(BLOCK_READ, 9, 0, buffer, 512));
    flush();
}

/* An ARP request for 10.0.0.1, as the built-in network answers. */
static const uint8_t request[42] = {
    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 8, 6, 0, 1, 8, 0, 6, 4, 0,
    1, 0x52, 0x54, 0, 0x12, 0x34, 0x56, 10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1};

static void tell_frame(int ret, uint64_t len)
{
    field("read", ret);
    field("length", len);
    field("operation", (unsigned char)buffer[21]);
    flush();
}

static void use_net(void)
{
    struct net call = {LAN, buffer, sizeof buffer, 99};
    struct poll poll = {5000000000, 99, 99};

    hypercall(NET_READ, &call);
    field("nothing", call.ret);
    call = (struct net){LAN, (void *)request, sizeof request, 99};
    hypercall(NET_WRITE, &call);
    field("written", call.ret);
    hypercall(POLL, &poll);
    field("ready", poll.ready_set);
    field("ret", poll.ret);
    flush();
    call = (struct net){LAN, buffer, sizeof buffer, 99};
    hypercall(NET_READ, &call);
    tell_frame(call.ret, call.len);
    call = (struct net){LAN, (void *)request, 13, 99};
    hypercall(NET_WRITE, &call);
    field("short", call.ret);
    call = (struct net){LAN, buffer, sizeof buffer, 99};
    hypercall(NET_WRITE, &call);
    field("long", call.ret);
    call = (struct net){DISK, buffer, sizeof buffer, 99};
    hypercall(NET_READ, &call);
    field("disk", call.ret);
    flush();
}

static void submit(struct ring *ring, uint32_t operation, void *data, uint32_t len)
{
    uint32_t i = ring->ent_tail % RING_SIZE;

    ring->entries[i].operation = operation;
    ring->entries[i].handle = LAN;
    ring->entries[i].data = data;
    ring->entries[i].len = len;
    ring->entries[i].id = 77 + ring->ent_tail;
    ring->ent_tail++;
    if (ring->needs_kick)
        ring_kick();
}

static void use_ring(struct ring *ring)
{
    struct poll poll = {5000000000, 99, 99};
    uint32_t rounds = 0;

    submit(ring, RING_NET_READ, buffer, sizeof buffer);
    field("commits", ring->com_tail);
    field("id", ring->commits[0].id);
    field("ret", (uint64_t)ring->commits[0].ret);
    flush();
    /* More than the ring has entries, so that all indices wrap. */
    for (; rounds < RING_SIZE; rounds++) {
        submit(ring, RING_NET_WRITE, (void *)request, sizeof request);
        hypercall(POLL, &poll);
        submit(ring, RING_NET_READ, buffer, sizeof buffer);
        if (ring->commits[(rounds + 1) % RING_SIZE].ret != 0)
            break;
    }
    field("rounds", rounds);
    field("consumed", ring->ent_head);
    field("commits", ring->com_tail);
    flush();
    tell_frame(ring->commits[0].ret, ring->commits[0].len);
}

static int code_in_data(void)
{
    static char code[16] = {(char)0xc3};

    ((void (*)(void))(void *)code)();
    return 1;
}

/* What must end the run. Returns if it did not. */
static void misbehave(const struct boot_info *info, const char *how)
{
    struct puts puts = {buffer, 16};
    struct ring *ring = info->net_ring;
    extern char start[];

    if (is(how, "write-code"))
        *(volatile char *)start = 0;
    else if (is(how, "read-code"))
        buffer[0] = *(volatile char *)start;
    else if (is(how, "write-constant"))
        *(volatile uint32_t *)(uintptr_t)&abi_note.target = 2;
    else if (is(how, "run-data"))
        code_in_data();
    else if (is(how, "write-info"))
        *(volatile char *)info = 1;
    else if (is(how, "null"))
        *(volatile char *)8 = 1;
    else if (is(how, "beyond"))
        *(volatile char *)(info->mem_size + 0x40000000) = 1;
    else if (is(how, "block-into-code"))
        block(BLOCK_READ, DISK, 0, start, 512);
    else if (is(how, "argument"))
        hypercall(PUTS, (void *)0xfffffff8);
    else if (is(how, "pointer")) {
        puts.len = ~0ULL;
        hypercall(PUTS, &puts);
    } else if (is(how, "number"))
        hypercall(9, &puts);
    else if (is(how, "zero"))
        hypercall(0, &puts);
    else if (is(how, "port"))
        out32(0x3f8, 0);
    else if (is(how, "in"))
        __asm__ volatile("inl $0x80, %%eax" : : : "eax");
    else if (is(how, "byte"))
        __asm__ volatile("outb %%al, %%dx" : : "a"(0), "d"(0x502));
    else if (is(how, "flood")) {
        ring->ent_tail = RING_SIZE + 1;
        ring_kick();
    } else if (is(how, "hlt"))
        __asm__ volatile("sti; hlt");
}

/* Only to be called where the guest gives itself a trap handler's place. */
int run(const struct boot_info *info, uint64_t rsp, uint64_t rflags)
{
    const char *command = info->cmdline;

    if (is(command, "start"))
        tell_start(info, rsp, rflags);
    else if (is(command, "time"))
        tell_time(info);
    else if (is(command, "disk"))
        use_disk(info);
    else if (is(command, "net"))
        use_net();
    else if (is(command, "ring"))
        use_ring(info->net_ring);
    else if (is(command, "status"))
        end(300);
    else {
        misbehave(info, command);
        say("still running after: ");
        say(command);
        flush();
        end(42);
    }
    end(0);
}
