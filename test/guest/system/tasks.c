/* Tasks switched by hardware: by jumps, calls, gates and returns, and what each check raises. */
#include "guest.h"

#define FLAG_NT 0x4000
#define DB 1
#define GP 13
#define TASK    0x40
#define TASK_16 0x48
#define GATE    0x50
#define OTHER   0x58
#define LDT     0x60
#define AVAILABLE_TSS 0x89
#define BUSY_TSS      0x8b
#define AVAILABLE_16  0x81
#define TASK_GATE     0x85
#define TASK_VECTOR   0x40

/* Intel SDM vol. 3A figure 8-2. */
static struct task {
    u32 link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags;
    u32 eax, ecx, edx, ebx, esp, ebp, esi, edi;
    u32 es, cs, ss, ds, fs, gs, ldt;
    u16 trap, io_map;
} task;

/* Figure 8-11. */
static struct __attribute__((packed)) {
    u16 link, sp0, ss0, sp1, ss1, sp2, ss2, ip, flags;
    u16 ax, cx, dx, bx, sp, bp, si, di, es, cs, ss, ds, ldt;
} task_16;

static u64 ldt[2];
static u8 stack[0x1000] __attribute__((aligned(16)));
/* Named by assembly. */
struct { u32 tr, cr0, flags, esp, eax, link, error, fs, ldtr; } in_task;
extern char task_body[], task_16_body[], task_error_body[], task_end[];

/* What runs in the other task: it notes what it finds, and returns by IRET or a jump. */
asm(".text\n"
    "task_body:\n"
    "movl %eax, in_task + 16; str %eax; movl %eax, in_task; smsw %eax; movl %eax, in_task + 4\n"
    "pushf; popl in_task + 8; movl %esp, in_task + 12; mov %fs, in_task + 28\n"
    "sldt %eax; movl %eax, in_task + 32; clts; movl leave_by_jump, %eax; testl %eax, %eax; jnz 1f\n"
    "iret; jmp task_body\n"
    "1: ljmp $0x28, $0; jmp task_body\n"
    /* Takes the error code, and gives the other task another EAX to go on with. */
    "task_error_body: popl in_task + 24; movl $0x10, tss + 0x28; clts; iret; jmp task_error_body\n"
    "task_16_body: .code16; addr32 movl %eax, in_task + 16; addr32 movw %sp, in_task + 12\n"
    "pushf; addr32 popw in_task + 8; clts; iret; jmp task_16_body\n"
    ".code32; task_end:\n");
int leave_by_jump;

static void set_gate(int selector, u32 target, u32 type) {
    gdt[selector / 8] = (u64)(type << 8) << 32 | target << 16;
}

static u32 type_of(int selector) { return gdt[selector / 8] >> 40 & 0xff; }

static void make_task(void (*change)(void)) {
    task = (struct task){
        .eip = (u32)task_body, .eflags = 2, .eax = 0x12345678, .esp = (u32)(stack + sizeof stack),
        .es = KERNEL_DATA, .cs = KERNEL_CODE, .ss = KERNEL_DATA, .ds = KERNEL_DATA,
        .fs = KERNEL_DATA, .io_map = sizeof task,
    };
    asm volatile("mov %%cr3, %0" : "=r"(task.cr3));
    set_descriptor(TASK, (u32)&task, sizeof task - 1, AVAILABLE_TSS);
    set_descriptor(TSS, (u32)tss, 0x67, BUSY_TSS);
    set_gate(GATE, TASK, TASK_GATE);
    leave_by_jump = 0;
    in_task.error = 0xaaaaaaaa;
    if (change != 0) change();
}

static void found(void) {
    print("  tr ");
    hex(in_task.tr, 4);
    print(" ts ");
    hex(in_task.cr0 >> 3 & 1, 1);
    print(" nt ");
    hex(in_task.flags >> 14 & 1, 1);
    print(" eax ");
    hex(in_task.eax, 8);
    print(" stack ");
    hex((u32)(stack + sizeof stack) - in_task.esp, 4);
    print(" link ");
    hex(task.link & 0xffff, 4);
    print(" types ");
    hex(type_of(TSS), 2);
    print(" ");
    hex(type_of(TASK), 2);
    print("\n");
}

/* An attempt that enters the task. ATTEMPT's own registers are saved in its TSS and come back. */
#define ENTER(name, change, code) do { make_task(change); TRY(name, code); } while (0)

static void jump_back(void) { leave_by_jump = 1; }

static void switches(void) {
    print("switches\n");
    ENTER("call", 0, "lcall $0x40, $0");
    found();
    ENTER("call, registers come back",
          0, "mov $0x1111, %%ebx; mov %%esp, %%esi; lcall $0x40, $0; sub %%esp, %%esi;"
             "add %%esi, %%ebx; mov %%ebx, result");
    show("ebx", result, 8);
    ENTER("nt is not left", 0, "lcall $0x40, $0; pushf; pop result");
    show("nt", result >> 14 & 1, 1);
    ENTER("jump and jump back", jump_back, "ljmp $0x40, $0");
    found();
    ENTER("call by a gate", 0, "lcall $0x50, $0");
    found();
    ENTER("jump by a gate", jump_back, "ljmp $0x50, $0");
    found();
    ENTER("twice: it goes on where it was", 0, "lcall $0x40, $0; lcall $0x40, $0");
    found();
    show("saved eip in the task", task.eip >= (u32)task_body && task.eip < (u32)task_end, 1);
    show("saved eflags", task.eflags & ~0x44u, 8);
    show("saved in the main tss, cs", tss[0x4c / 4] & 0xffff, 4);
    show("ss", tss[0x50 / 4] & 0xffff, 4);
    show("fs", in_task.fs & 0xffff, 4);
}

static void set_ldt(void) {
    task.ldt = LDT;
    task.fs = 0x0c;
}
static void no_ldt(void) { task.ldt = 0xf8; }
static void ldt_in_ldt(void) { task.ldt = 0x0c; }
static void ldt_absent(void) { task.ldt = OTHER; set_descriptor(OTHER, (u32)ldt, 15, 0x02); }
static void data_in_code(void) { task.cs = KERNEL_DATA; }
static void null_code(void) { task.cs = 0; }
static void code_rpl(void) { task.cs = KERNEL_CODE | 3; }
static void code_absent(void) { task.cs = OTHER; set_descriptor(OTHER, 0, 0xfffff, 0xc01b); }
static void beyond_code(void) { task.cs = OTHER; set_descriptor(OTHER, 0, 0xfff, 0x409b); }
static void null_stack(void) { task.ss = 0; }
static void stack_rpl(void) { task.ss = KERNEL_DATA | 3; }
static void stack_dpl(void) { task.ss = USER_DATA & ~3; }
static void stack_absent(void) { task.ss = OTHER; set_descriptor(OTHER, 0, 0xfffff, 0xc013); }
static void data_beyond(void) { task.ds = 0x100; }
static void data_system(void) { task.es = TSS; }
static void data_absent(void) { task.fs = OTHER; set_descriptor(OTHER, 0, 0xfffff, 0xc013); }
static void data_execute_only(void) { task.gs = OTHER; set_descriptor(OTHER, 0, 0xfffff, 0xc099); }
static void all_null(void) { task.ds = task.es = task.fs = task.gs = 0; task.eip = (u32)task_error_body; }
static void short_limit(void) { set_descriptor(TASK, (u32)&task, 0x66, AVAILABLE_TSS); }
static void absent(void) { set_descriptor(TASK, (u32)&task, 0x67, 0x09); }
static void busy(void) { set_descriptor(TASK, (u32)&task, 0x67, BUSY_TSS); }
static void gate_absent(void) { set_gate(GATE, TASK, 0x05); }
static void gate_to_data(void) { set_gate(GATE, KERNEL_DATA, TASK_GATE); }
static void gate_to_ldt(void) { set_gate(GATE, TASK | 4, TASK_GATE); }
static void gate_to_null(void) { set_gate(GATE, 0, TASK_GATE); }
static void gate_beyond(void) { set_gate(GATE, 0x100, TASK_GATE); }
static void absent_task(void) { absent(); }

/*
 * Faults of a task that has been entered but has no stack yet: only tasks can handle them. The
 * handler notes what it got and goes back to the main task, which is still busy with its call.
 */
#define FIRST_HANDLED 10
#define HANDLERS      4
#define HANDLER       0x70

static struct task handlers[HANDLERS];
static u8 handler_stacks[HANDLERS][0x400] __attribute__((aligned(16)));
/* Named by assembly. */
struct { u32 vector, error, flags; } handled;
extern char handler_body[];
asm("handler_body: movl %eax, handled; popl handled + 4; pushf; popl handled + 8\n"
    "movb $0x89, gdt + 0x28 + 5; ljmp $0x28, $0; jmp handler_body\n");

static void make_handlers(void) {
    extern u64 idt[];
    for (int n = 0; n < HANDLERS; n++) {
        handlers[n] = (struct task){
            .eip = (u32)handler_body, .eflags = 2, .eax = (u32)(FIRST_HANDLED + n),
            .esp = (u32)(handler_stacks[n] + sizeof handler_stacks[n]), .es = KERNEL_DATA,
            .cs = KERNEL_CODE, .ss = KERNEL_DATA, .ds = KERNEL_DATA, .io_map = sizeof task,
        };
        set_descriptor(HANDLER + 8 * n, (u32)&handlers[n], sizeof task - 1, AVAILABLE_TSS);
        idt[FIRST_HANDLED + n] = (u64)(TASK_GATE << 8) << 32 | (u32)(HANDLER + 8 * n) << 16;
    }
}

static void faults_of_the_task(const char *name, void (*change)(void)) {
    extern u64 idt[];
    u64 gates[HANDLERS];
    for (int n = 0; n < HANDLERS; n++) gates[n] = idt[FIRST_HANDLED + n];
    make_handlers();
    make_task(change);
    handled.vector = 0;
    ATTEMPT("lcall $0x40, $0");
    asm volatile("clts");
    for (int n = 0; n < HANDLERS; n++) idt[FIRST_HANDLED + n] = gates[n];
    print(name);
    print(": #");
    hex(handled.vector, 2);
    print(" (");
    hex(handled.error, 4);
    print(") nt ");
    hex(handled.flags >> 14 & 1, 1);
    if (handled.vector != 0) {
        const struct task *handler = &handlers[handled.vector - FIRST_HANDLED];
        print(" from ");
        hex(handler->link & 0xffff, 4);
    }
    print(" cs ");
    hex(task.cs & 0xffff, 4);
    print(" ss ");
    hex(task.ss & 0xffff, 4);
    print(" types ");
    hex(type_of(TSS), 2);
    print(" ");
    hex(type_of(TASK), 2);
    print("\n");
}

static void checks(void) {
    print("refused\n");
    ENTER("limit", short_limit, "lcall $0x40, $0");
    ENTER("absent", absent, "lcall $0x40, $0");
    ENTER("busy", busy, "lcall $0x40, $0");
    ENTER("itself", 0, "ljmp $0x28, $0");
    ENTER("rpl", 0, "lcall $0x43, $0");
    ENTER("gate, rpl", 0, "lcall $0x53, $0");
    ENTER("gate, absent", gate_absent, "lcall $0x50, $0");
    ENTER("gate to data", gate_to_data, "lcall $0x50, $0");
    ENTER("gate to the ldt", gate_to_ldt, "lcall $0x50, $0");
    ENTER("gate to null", gate_to_null, "ljmp $0x50, $0");
    ENTER("gate beyond the gdt", gate_beyond, "ljmp $0x50, $0");
    ENTER("gate to an absent task", absent_task, "ljmp $0x50, $0");
    ENTER("from level 3", 0, USER("lcall $0x40, $0"));
    show("nothing has changed", type_of(TASK) == AVAILABLE_TSS && type_of(TSS) == BUSY_TSS, 1);
    asm volatile("str %0" : "=r"(result));
    show("tr", result, 4);

    print("faults of the task\n");
    faults_of_the_task("ldt beyond the gdt", no_ldt);
    faults_of_the_task("ldt in an ldt", ldt_in_ldt);
    faults_of_the_task("ldt absent", ldt_absent);
    faults_of_the_task("data as code", data_in_code);
    faults_of_the_task("null code", null_code);
    faults_of_the_task("null stack", null_stack);
    faults_of_the_task("stack, rpl", stack_rpl);
    faults_of_the_task("stack, dpl", stack_dpl);
    faults_of_the_task("stack absent", stack_absent);
    faults_of_the_task("code absent", code_absent);
    faults_of_the_task("code, rpl", code_rpl);
    faults_of_the_task("data beyond the gdt", data_beyond);
    faults_of_the_task("data, system", data_system);
    faults_of_the_task("data, execute-only", data_execute_only);
    faults_of_the_task("data absent", data_absent);
    faults_of_the_task("beyond the code's limit", beyond_code);
    show("before its first instruction", task.eip == (u32)task_body, 1);
}

static void takes_error(void) { task.eip = (u32)task_error_body; }

static void events(void) {
    print("events\n");
    extern u64 idt[];
    const u64 before = idt[GP];
    idt[TASK_VECTOR] = (u64)(TASK_GATE << 8) << 32 | TASK << 16;
    ENTER("int", 0, "int $0x40; mov $1, %%eax; mov %%eax, result");
    found();
    ENTER("int from level 3, dpl 0", 0, USER("int $0x40"));
    idt[TASK_VECTOR] |= (u64)0x60 << 40;
    ENTER("int from level 3", 0, USER("int $0x40; mov %%cs, %%eax; mov %%eax, result"));
    show("cs", result, 4);
    ENTER("int, busy", busy, "int $0x40");
    ENTER("int, absent", absent, "int $0x40");
    idt[TASK_VECTOR] &= ~((u64)0x80 << 40);
    ENTER("int, gate absent", 0, "int $0x40");
    idt[GP] = (u64)(TASK_GATE << 8) << 32 | TASK << 16;
    ENTER("#GP: its instruction is executed again", takes_error,
          "mov $0x100, %%eax; mov %%eax, %%fs; mov %%fs, %%eax; mov %%eax, result");
    show("fs", result & 0xffff, 4);
    show("error code", in_task.error, 8);
    show("rf in the saved flags", tss[0x24 / 4] >> 16 & 1, 1);
    idt[GP] = before;
}

static void small_tasks(void) {
    print("16-bit tasks\n");
    set_descriptor(OTHER, (u32)task_16_body & ~0xfffu, 0xffff, 0x009b);
    set_descriptor(GATE, (u32)stack, 0xffff, 0x0093);
    set_descriptor(TSS, (u32)tss, 0x67, BUSY_TSS);
    task_16 = (typeof(task_16)){
        .ip = (u32)task_16_body & 0xfff, .flags = 2, .ax = 0x4321, .sp = sizeof stack,
        .es = KERNEL_DATA, .cs = OTHER, .ss = GATE, .ds = KERNEL_DATA,
    };
    set_descriptor(TASK_16, (u32)&task_16, sizeof task_16 - 1, AVAILABLE_16);
    in_task.eax = in_task.flags = 0;
    TRY("call", "mov $0x87650000, %%eax; lcall $0x48, $0");
    show("ax", in_task.eax & 0xffff, 4);
    show("nt", in_task.flags >> 14 & 1, 1);
    show("sp", in_task.esp & 0xffff, 4);
    show("link", task_16.link, 4);
    show("type", type_of(TASK_16), 2);
    set_descriptor(TASK_16, (u32)&task_16, sizeof task_16 - 2, AVAILABLE_16);
    TRY("limit", "lcall $0x48, $0");
}

static void traps(void) {
    print("debug trap\n");
    make_task(0);
    task.trap = 1;
    asm volatile("mov %0, %%dr6; mov %1, %%dr7" : : "r"(0xffff0ff0), "r"(0x455));
    TRY("t", "lcall $0x40, $0");
    show("at its first instruction", fault.ip == (u32)task_body, 1);
    asm volatile("mov %%dr6, %0" : "=r"(result));
    show("dr6", result & 0xe00f, 4);
    asm volatile("mov %%dr7, %0" : "=r"(result));
    show("dr7", result, 8);
    asm volatile("mov %0, %%dr7; clts" : : "r"(0x400));
    asm volatile("str %0" : "=r"(result));
    show("tr", result, 4);
    set_descriptor(TSS, (u32)tss, 0x67, AVAILABLE_TSS);
    asm volatile("ltr %w0" : : "r"(TSS));
}

static void link_to_data(void) { tss[0] = KERNEL_DATA; }
static void link_to_ldt(void) { tss[0] = TASK | 4; }
static void link_available(void) { tss[0] = TASK; }
static void link_beyond(void) { tss[0] = 0x100; }
static void link_absent(void) { tss[0] = TASK; set_descriptor(TASK, (u32)&task, 0x67, 0x0b); }
static void link_busy(void) { tss[0] = TASK; busy(); leave_by_jump = 1; }

#define RETURN "pushf; orl $0x4000, (%%esp); popf; iret"

static void returns(void) {
    print("returns\n");
    ENTER("to data", link_to_data, RETURN);
    ENTER("to the ldt", link_to_ldt, RETURN);
    ENTER("to what is not busy", link_available, RETURN);
    ENTER("beyond the gdt", link_beyond, RETURN);
    ENTER("to what is absent", link_absent, RETURN);
    ENTER("to a task", link_busy, RETURN);
    found();
    show("nt in the saved flags", tss[0x24 / 4] >> 14 & 1, 1);
}

void guest_main(void) {
    set_descriptor(LDT, (u32)ldt, sizeof ldt - 1, 0x82);
    ldt[1] = gdt[KERNEL_DATA / 8];
    switches();
    ENTER("ldt", set_ldt, "lcall $0x40, $0");
    show("ldtr", in_task.ldtr & 0xffff, 4);
    show("fs", in_task.fs & 0xffff, 4);
    ENTER("null data segments, at a fault's code", all_null, "nop");
    checks();
    events();
    small_tasks();
    traps();
    returns();
}
