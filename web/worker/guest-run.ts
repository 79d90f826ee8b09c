import { OverlayDisk } from "../../src/boot/bios/overlay-disk.ts";
import { identify } from "../../src/boot/image.ts";
import type { Manifest } from "../../src/boot/solo5/manifest.ts";
import { crashReport } from "../../src/debug/crash-report.ts";
import { programsOf, SymbolTable } from "../../src/debug/symbols.ts";
import { createEmulatedCpu, everyMillisecond } from "../../src/emulated-cpu.ts";
import { assembleMachine } from "../../src/machine/assemble.ts";
import { describeStatistics } from "../../src/machine/describe-statistics.ts";
import type { Machine } from "../../src/machine/machine.ts";
import type { Outcome } from "../../src/machine/outcome.ts";
import { limitedReports } from "../../src/machine/report.ts";
import { defaultMac } from "../../src/net/mac.ts";
import { Pinger } from "../../src/net/ping.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import type { Guest, ToPage } from "../messages.ts";
import { BlobSource } from "./blob-source.ts";
import { BrowserClock } from "./clock.ts";
import { BrowserEventLoop } from "./event-loop.ts";
import { PageConsole } from "./page-console.ts";
import { PageScreen } from "./page-screen.ts";

const PINGS = 5;

/** The interpreters, by whether hot handlers are inline: see `interpreterModule`. */
export type Interpreters = (inline: boolean) => Uint8Array<ArrayBuffer>;

/** One guest, from its image to its end. */
export class GuestRun {
  readonly #guest: Guest;
  readonly #image: BlobSource;
  readonly #send: (message: ToPage) => void;
  readonly #console: PageConsole;
  readonly #clock = new BrowserClock();
  readonly #eventLoop = new BrowserEventLoop(this.#clock);
  readonly #networks: UserNetwork[] = [];
  readonly #machine: Machine;
  readonly #screen: PageScreen;

  /** @throws GuestError, HostError when it cannot run */
  constructor(guest: Guest, interpreters: Interpreters, send: (message: ToPage) => void) {
    this.#guest = guest;
    this.#image = new BlobSource(guest.image);
    this.#send = send;
    this.#console = new PageConsole((bytes) => send({ kind: "output", bytes }));
    this.#machine = this.#assemble(interpreters);
    this.#screen = new PageScreen(() => this.#machine.picture(), send);
  }

  /** Runs it to its end, and tells of that. */
  async run(): Promise<void> {
    try {
      const outcome = await this.#machine.run();
      this.#console.flush();
      this.#screen.close();
      this.#tellOf(outcome);
    } finally {
      this.#machine.cpu.close();
    }
  }

  type(bytes: Uint8Array): void {
    this.#console.type(bytes);
    // The guest may wait for nothing else.
    this.#eventLoop.wake();
  }

  moveMouse(x: number, y: number, buttons: number): void {
    this.#machine.moveMouse(x, y, buttons);
  }

  shown(count: number): void {
    this.#console.shown(count);
  }

  painted(): void {
    this.#screen.painted();
  }

  stop(): void {
    this.#machine.stop("stopped");
  }

  ping(): void {
    const [network] = this.#networks;
    if (network === undefined) {
      this.#notice("the guest has no network");
      return;
    }
    new Pinger({
      network,
      clock: this.#clock,
      count: PINGS,
      print: (line) => this.#notice(line),
      done: () => {},
    }).start();
    // The alarm that it has set may be earlier than what is slept for.
    this.#eventLoop.wake();
  }

  #assemble(interpreters: Interpreters): Machine {
    const { initrd, memoryMib, bootMode, guestArguments } = this.#guest;
    const notice = (line: string): void => this.#notice(line);
    return assembleMachine(
      {
        image: this.#image,
        initrd: initrd && new BlobSource(initrd),
        ...{ memoryMib, bootMode, guestArguments },
        explain: notice,
        report: limitedReports(notice),
        timed: true,
        // A tender's machine has none.
        display: identify(this.#image).kind !== "tender",
        connect: (manifest) => this.#connect(manifest),
      },
      {
        clock: this.#clock,
        // Pages have shared memory only if their server isolates them.
        sharedMemory: false,
        createProcessor: (memory) => ({
          cpu: createEmulatedCpu({
            memory,
            clock: this.#clock,
            timed: true,
            jit: true,
            hostWaits: everyMillisecond(() => performance.now()),
            keptInterpreter: interpreters,
          }),
          eventLoop: this.#eventLoop,
        }),
      },
    );
  }

  #connect(manifest: Manifest | undefined) {
    const wanted = manifest?.devices.filter(({ kind }) => kind === "net") ?? [{ name: "net" }];
    const nets = wanted.map(({ name }, i) => {
      const backend = new UserNetwork();
      this.#networks.push(backend);
      return { name, backend, mac: defaultMac(i) };
    });
    const blocks = this.#guest.disks.map((disk, i) => ({
      backend: new OverlayDisk(new BlobSource(disk)),
      id: `disk ${i}`,
    }));
    return { console: this.#console, nets, blocks };
  }

  #tellOf(outcome: Outcome): void {
    const { cpu, memory } = this.#machine;
    const registers = cpu.readRegisters();
    const symbols = new SymbolTable(programsOf(this.#image));
    const report = crashReport(outcome, { registers, memory }, symbols) ?? [];
    for (const line of report) this.#notice(line);
    this.#send({
      kind: "ended",
      how: outcome.kind === "exit" ? `exit ${outcome.status}` : outcome.kind,
      statistics: describeStatistics(this.#machine, { nets: [], blocks: [] }),
    });
  }

  #notice(line: string): void {
    this.#send({ kind: "notice", line });
  }
}
