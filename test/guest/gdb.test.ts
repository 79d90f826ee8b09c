import { once } from "node:events";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, test, vi } from "vitest";
import { gdb, part, parts, socketPath } from "../support/gdb.ts";
import {
  describeOnEach,
  execute,
  image,
  type Process,
  ROOT,
  run,
  start,
} from "../support/monitor.ts";
import { SeededRandom } from "../support/random.ts";
import { missing } from "../support/requirements.ts";
import { spin, tinyGuest } from "../support/tiny-guest.ts";

const LOADER = join(ROOT, "kernel/build/boot/loader.elf");

/** Waits until the guest has answered two pings more. */
async function repliesGoOn(guest: Process): Promise<void> {
  const replies = (): number => guest.stdout.split("bytes from").length;
  const wanted = replies() + 2;
  await vi.waitUntil(() => replies() >= wanted, { timeout: 20_000 });
}

/** One that nobody listens at just now. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** Whether nobody takes connections there. */
const refused = async (port: number, host: string): Promise<boolean> =>
  await new Promise((resolve) => {
    const client = connect(port, host);
    client.on("error", () => resolve(true));
    client.on("connect", () => {
      client.destroy();
      resolve(false);
    });
  });

describeOnEach.skipIf(missing("gdb"))("gdb", () => {
  test("goes from the loader's first instruction into handlers, and the guest goes on", async () => {
    const socket = socketPath();
    const guest = start([image("kernel"), "--gdb", `unix:${socket}`, "-S", "--ping", "100000"], {
      limit: 90,
    });
    await guest.said("in gdb: target remote");
    const session = await gdb(
      `target remote ${socket}`,
      part("loader"),
      // The program and its symbols have come through the connection; the loader is another file.
      "info symbol kernel_main",
      `add-symbol-file ${LOADER}`,
      'printf "cr0 %#lx efer %#lx\\n", $cr0, $efer',
      "tbreak loader_main",
      "continue",
      part("kernel"),
      "tbreak kernel_main",
      "continue",
      "next",
      "next",
      "step",
      "backtrace",
      "finish",
      part("ping"),
      "tbreak icmp_answer",
      "continue",
      "backtrace",
      "print *datagram",
      "print/x datagram->header->protocol",
      "rwatch -l interface->address",
      "continue",
      "delete",
      part("handler"),
      "tbreak virtio_net.c:on_interrupt",
      "continue",
      "backtrace",
      "x/1x interrupt_stack_page+4040",
      "info symbol *(long *)(interrupt_stack_page+4040)",
      "finish",
      part("steps"),
      "tbreak cpu_wait_until",
      "continue",
      // Over `sti; hlt; cli`: through the sleep, and not into the handler.
      "next",
      "next",
      "next",
      part("monitor"),
      "monitor info",
      "monitor info mem 0x110000",
      "monitor xp /2w 0x110000",
      "x/2xw 0x110000",
      "monitor nonsense",
      "detach",
    ).ended;
    const said = parts(session.stdout);
    expect(said.loader).toContain("kernel_main in section .text");
    expect(said.loader).toContain("cr0 0x11 efer 0");
    expect(said.loader).toMatch(/breakpoint 1, loader_main .* at boot\/loader\.c:/);
    expect(said.kernel).toMatch(/breakpoint 2, kernel_main \(boot_info=0x[0-9a-f]+/);
    expect(said.kernel).toMatch(/#0 {2}interrupts_init[\s\S]*#1 .* kernel_main[\s\S]*#2 .* _start/);
    expect(said.kernel).toMatch(/kernel_main .*\n\d+\t {4}fpu_init\(\);/);
    expect(said.ping).toMatch(/breakpoint 3, icmp_answer/);
    expect(said.ping).toMatch(/solo5_app_main[\s\S]*kernel_main/);
    expect(said.ping).toMatch(/\$1 = \{header = 0x[0-9a-f]+, payload = .*payload_size = 64\}/);
    expect(said.ping).toContain("$2 = 0x1");
    expect(said.ping).toMatch(/Hardware read watchpoint[\s\S]*Value = 33554442/);
    expect(said.handler).toMatch(/breakpoint 5, on_interrupt/);
    expect(said.handler).toMatch(/irq_dispatch[\s\S]*<signal handler called>[\s\S]*cpu_wait_until/);
    expect(said.handler).toMatch(/<interrupt_stack_page\+4040>:\t0x0011/);
    expect(said.handler).toMatch(/^cpu_wait_until \+ \d+ in section \.text/m);
    expect(said.steps).not.toMatch(/irq_|on_interrupt/);
    expect(said.steps).toMatch(/solo5_yield .* at solo5\/yield\.c/);
    // What the target says, gdb prints on standard error.
    expect(session.stderr).toMatch(/64-bit mode, level 0, paging 4-level/);
    expect(session.stderr).toMatch(/physical 0x110000, 0x1000 bytes, read only, execute/);
    const words = /\t0x[0-9a-f]{8}\t0x[0-9a-f]{8}$/m;
    expect(words.exec(session.stderr)?.[0]).toBe(words.exec(said.monitor ?? "")?.[0]);
    expect(session.stderr).toContain('no monitor command "nonsense"');

    // The guest goes on; gdb comes again, is killed, and comes again.
    await repliesGoOn(guest);
    const doomed = gdb(`target remote ${socket}`, "break icmp_answer", part("set"), "continue");
    await doomed.printed("@set");
    await delay(50);
    doomed.kill("SIGKILL");
    await doomed.ended;
    await repliesGoOn(guest);

    const last = gdb(
      `target remote ${socket}`,
      "break solo5_exit",
      part("running"),
      "continue",
      part("stopped"),
      "backtrace",
      "kill",
    );
    await last.printed("@running");
    await delay(300);
    last.kill("SIGINT");
    const { stdout } = await last.ended;
    expect(parts(stdout).stopped ?? "").toMatch(/kernel_main/);
    expect(stdout).toContain("SIGINT");
    expect((await guest.ended).status).toBe(143);
  }, 90_000);

  test("changes what the guest computes with, in its timer's handler as well", async () => {
    const socket = socketPath();
    const guest = start([image("time"), "--gdb", `unix:${socket}`, "-S"], { limit: 60 });
    await guest.said("in gdb:");
    const session = await gdb(
      `target remote ${socket}`,
      "tbreak alarm_went_off",
      "continue",
      part("handler"),
      "backtrace",
      "info symbol *(long *)(interrupt_stack_page+4040)",
      "watch alarm",
      "continue",
      "print alarm",
      "delete",
      "finish",
      part("exit"),
      "tbreak platform_exit",
      "continue",
      "set var $rdi = 7",
      "continue",
    ).ended;
    const said = parts(session.stdout);
    expect(said.handler).toMatch(/alarm_went_off[\s\S]*irq_dispatch[\s\S]*<signal handler called>/);
    expect(said.handler).toMatch(/^cpu_wait_until/m);
    expect(said.handler).toMatch(
      /Hardware watchpoint[\s\S]*Old value = \d{4,}[\s\S]*New value = 0/,
    );
    expect(said.exit).toContain("exited with code 07");
    expect((await guest.ended).status).toBe(7);
  });

  test("sees both halves of YMM registers, and sets them", async () => {
    const socket = socketPath();
    const guest = start([tinyGuest(spin), "--gdb", `unix:${socket}`, "-S"]);
    await guest.said("in gdb: target remote");
    const { stdout } = await gdb(
      `target remote ${socket}`,
      "set var $ymm9.v4_int64[3] = 0x123456789abcdef0",
      "set var $xmm9.v2_int64[0] = 7",
      "stepi",
      "maintenance flush register-cache",
      "print/x $ymm9.v4_int64",
      "kill",
    ).ended;
    expect(stdout).toContain("{0x7, 0x0, 0x0, 0x123456789abcdef0}");
  });

  test("garbage harms neither guest nor monitor, and gdb comes in afterwards", async () => {
    const socket = socketPath();
    const guest = start([
      ...[image("kernel"), "--gdb", `unix:${socket}`, "--ping", "100000"],
      ...["--trace", "irq:/dev/null"],
    ]);
    await guest.printed("bytes from");
    const random = new SeededRandom(1);
    for (let i = 0; i < 20; i++) {
      const client = connect(socket).on("error", () => {});
      const bytes = Uint8Array.from({ length: 300 }, () => random.below(256));
      client.write(i % 2 === 0 ? bytes : "$vCont;s#b8$g#67$m0,");
      await delay(20);
      client.destroy();
    }
    const { stdout, stderr } = await gdb(
      `target remote ${socket}`,
      "info symbol $pc",
      "monitor info devices",
      "monitor info interrupts",
      "monitor trace off",
      part("reset"),
      "monitor reset",
      "maintenance flush register-cache",
      "print/x $pc",
      "kill",
    ).ended;
    const said = parts(stdout);
    expect(stdout).toContain("in section .text");
    expect(stderr).toMatch(/^PCI 00:02\.0 1af4:1000, ports c040, .*IRQ 11$/m);
    expect(stderr).toMatch(/virtio-net queue 0: 256 entries, .* waiting\)/);
    expect(stderr).toMatch(/^8259, lines 15 to 8: .*vectors from 0x28$/m);
    expect(stderr).toContain("trace: off");
    expect(said.reset).toContain("$1 = 0x10000c");
    expect((await guest.ended).status).toBe(143);
  });
});

describe.skipIf(missing("lldb"))("lldb", () => {
  test("attaches, stops and steps", async () => {
    const socket = socketPath();
    const guest = start([image("kernel"), "--accel", "emu", "--gdb", `unix:${socket}`, "-S"]);
    await guest.said("in gdb:");
    const commands = [
      `target create ${join(ROOT, "kernel/build/kernel.elf")}`,
      `process connect unix-connect://${socket}`,
      "breakpoint set -n kernel_main",
      "continue",
      "next",
      "register read cr0",
      "backtrace",
      "process kill",
    ].flatMap((command) => ["-o", command]);
    const { stdout } = await execute(["lldb", "--no-lldbinit", "--batch", ...commands]);
    expect(stdout).toMatch(/stop reason = breakpoint 1\.1/);
    expect(stdout).toMatch(/stop reason = step over/);
    expect(stdout).toContain("cr0 = 0x0000000080010033");
    expect(stdout).toMatch(/frame #0: .*kernel_main.* at main\.c/);
    expect((await guest.ended).status).toBe(143);
  });
});

describe("--gdb", () => {
  test("says in one line that a port is taken, before anything else happens", async () => {
    const socket = socketPath();
    const guest = start([image("kernel"), "--gdb", `unix:${socket}`, "-S"]);
    await guest.said("in gdb:");
    const second = await run([image("kernel"), "--gdb", `unix:${socket}`]);
    expect(second.status).toBe(125);
    expect(second.stderr).toMatch(/^solo5-kvm: cannot wait for a debugger on .*EADDRINUSE.*\n$/);
    guest.kill("SIGTERM");
    expect((await guest.ended).status).toBe(143);
  });

  test.skipIf(missing("gdb"))("waits at a port, of this machine only", async () => {
    const port = await freePort();
    const guest = start([image("kernel"), "--accel", "emu", "--gdb", `${port}`, "-S"]);
    await guest.said(`frozen; in gdb: target remote :${port}\n`);
    expect(await refused(port, "127.0.0.2")).toBe(true);
    const session = await gdb(
      `target remote :${port}`,
      "tbreak kernel_main",
      "continue",
      "backtrace",
      "kill",
    ).ended;
    expect(session.stdout).toMatch(/#0 +kernel_main/);
    expect((await guest.ended).status).toBe(143);
  });

  test.each([
    [["--gdb", "kernel.iso"], /port from 1 to 65535 or unix:PATH/],
    [["--gdb", "0"], /port from 1 to 65535/],
    [["-S"], /-S .*--gdb/],
  ])("%j is refused in one line", async (options, message) => {
    const { status, stderr } = await run([image("kernel"), ...options]);
    expect(status).toBe(125);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain("\n");
  });
});
