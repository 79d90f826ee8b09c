import { writeAcpiTables } from "../boot/acpi/tables.ts";
import { Bios } from "../boot/bios/bios.ts";
import { type BootImage, bootMedia } from "../boot/bios/boot-media.ts";
import { showGraphics } from "../boot/bios/display.ts";
import { Resumption } from "../boot/bios/resumption.ts";
import { TRAP_PORT } from "../boot/bios/rom.ts";
import type { GraphicsMode } from "../boot/bios/vbe-modes.ts";
import { writeMpTables } from "../boot/mp-tables.ts";
import type { AlarmQueue, Clock } from "../core/clock.ts";
import type { Cpu, Registers } from "../core/cpu.ts";
import { type BusDevice, floating } from "../core/device.ts";
import { assert, GuestError } from "../core/errors.ts";
import type { EventLoop } from "../core/event-loop.ts";
import type { GuestMemory } from "../core/guest-memory.ts";
import type { Picture } from "../core/picture.ts";
import { gpa, hex } from "../core/units.ts";
import { Board, type BoardOptions } from "./board.ts";
import type { Decorations } from "./decorations.ts";
import { HvtBoard, type TenderInterface } from "./hvt-board.ts";
import type { MachineBoard } from "./machine-board.ts";
import type { Outcome } from "./outcome.ts";
import type { RunControl } from "./run-control.ts";
import { RunLoop } from "./run-loop.ts";
import type { RunStatistics } from "./run-statistics.ts";
import { TimedBackends } from "./timed-backends.ts";

/** Without it the processor is in real mode. */
const CR0_PE = 1n;
/** Interrupt vectors and the BIOS's data area. */
const BIOS_LOW_MEMORY = 0x500;

export interface MachineOptions
  extends Omit<BoardOptions, "onEnd" | "onReset" | "onMode" | "onInterrupt"> {
  readonly cpu: Cpu;
  readonly clock: Clock & { readonly alarms: AlarmQueue };
  readonly eventLoop: EventLoop;
  readonly memory: GuestMemory;
  /**
   * Puts the image into memory and returns the state to start in; again after every reset. Or what
   * the BIOS has to boot from.
   */
  readonly boot: (() => Registers) | BootImage;
  /** For a unikernel of Solo5's tenders: the board is not a PC then, and has no BIOS. */
  readonly tender?: TenderInterface | undefined;
  /** The mode that the display is to be in at the start, if there is one. */
  readonly graphics?: GraphicsMode | undefined;
  /** Whether to measure what devices wait for their back ends. */
  readonly timed?: boolean;
  /** Whether the run is over when the guest resets the machine; else it starts anew. */
  readonly endsAtReset?: boolean;
}

/** A board with one processor, ready to run. */
export class Machine {
  readonly cpu: Cpu;
  readonly board: MachineBoard;
  readonly #options: MachineOptions;
  readonly #loop: RunLoop;
  readonly #backends: TimedBackends;
  readonly #boot: () => Registers;
  /** Where there is a BIOS. */
  readonly #resumption: Resumption | undefined;
  #tellsOfMode = true;

  constructor(given: MachineOptions) {
    const options = given.decorations === undefined ? given : decorated(given, given.decorations);
    this.#options = options;
    this.cpu = options.cpu;
    this.#backends = new TimedBackends(options.clock);
    const boardOptions = {
      ...options,
      ...(options.timed === true && timeBackends(options, this.#backends)),
      onEnd: (outcome: Outcome) => this.#end(outcome),
      onReset: () => {
        if (options.endsAtReset === true) this.#end({ kind: "power-off" });
        else this.#loop.requestRestart();
      },
      onMode: (width: number, height: number, depth: number) => {
        if (!this.#tellsOfMode) return;
        this.#tellsOfMode = false;
        this.#tell(`the guest set a graphics mode, ${width}x${height} with ${depth} bits a pixel`);
      },
      onInterrupt: () => options.eventLoop.wake(),
    };
    const { boot, tender } = options;
    if (tender === undefined) {
      const board = new Board(boardOptions);
      this.board = board;
      this.#resumption = new Resumption(board.ports, options.memory);
      const bios = this.#installBios(board, typeof boot === "function" ? undefined : boot);
      const start =
        typeof boot === "function" ? this.#direct(boot, bios, board.ports) : () => bios.start();
      this.#boot = () => {
        writeAcpiTables(options.memory, board.acpi);
        const registers = start();
        // The BIOS has made its memory anew.
        writeMpTables(options.memory, board.acpi);
        return registers;
      };
    } else {
      assert(typeof boot === "function", "a tender's machine has no BIOS");
      this.board = new HvtBoard(boardOptions, tender);
      this.#boot = boot;
    }
    this.#loop = new RunLoop({
      cpu: options.cpu,
      ports: this.board.ports,
      mmio: this.board.mmio,
      interrupts: this.board.interrupts,
      clock: options.clock,
      alarms: options.clock.alarms,
      eventLoop: options.eventLoop,
      flush: (ran) => {
        if (ran) this.board.show();
        return options.console.flush();
      },
      poll: () => pollAll(options.nets),
      held: () => this.board.holdsGuest,
      restart: () => this.#restart(),
      resumes: () => this.#resumption?.isWanted === true,
    });
    // Somebody who watches exits sees all of them. The BIOS changes the processor's registers.
    if (given.decorations === undefined) {
      const { registerAccess } = this.cpu;
      const leaves = (port: number): boolean => port === TRAP_PORT && registerAccess === undefined;
      this.cpu.connectPorts?.(this.#loop.portAccess(leaves));
    }
  }

  get memory(): GuestMemory {
    return this.#options.memory;
  }

  /** Somebody moves the guest's mouse, or presses its buttons: see `Ps2Mouse.move`. */
  moveMouse(x: number, y: number, buttons: number): void {
    this.board.moveMouse?.(x, y, buttons);
  }

  get statistics(): RunStatistics {
    return this.#loop.statistics;
  }

  /** Nanoseconds that devices have waited for their back ends; zero unless measured. */
  get backendTime(): number {
    return this.#backends.elapsed;
  }

  /** What a debugger holds the guest with. */
  get control(): RunControl {
    return this.#loop.control;
  }

  /** Whether the processor waits for an interrupt. */
  get halted(): boolean {
    return this.#loop.halted;
  }

  /** Ends the processor's wait without an interrupt. Only while the guest stands still. */
  rouse(): void {
    this.#loop.rouse();
  }

  /** Takes the machine back to the start of the image. Only while the guest stands still. */
  reset(): void {
    this.#resumption?.cancel();
    this.#loop.restart();
  }

  /** What the guest's screen shows, but for text. */
  picture(): Picture | undefined {
    return this.board.picture();
  }

  /** Boots the guest and runs it to its end. Once only. */
  async run(): Promise<Outcome> {
    this.cpu.writeRegisters(this.#boot());
    const outcome = await this.#loop.run();
    this.board.finish();
    return outcome;
  }

  /**
   * Ends the run from the host's side, as soon as the guest's present slice is broken off. Harmless
   * when it has ended.
   */
  stop(reason: string): void {
    this.#loop.end({ kind: "stopped", reason });
    this.cpu.kick();
  }

  #end(outcome: Outcome): void {
    const fault = outcome.kind === "fault";
    this.#loop.end(fault ? { ...outcome, registers: this.cpu.readRegisters() } : outcome);
  }

  #restart(): void {
    if (this.#resumption?.isWanted === true) {
      this.cpu.reset();
      this.cpu.writeRegisters(this.#resumption.take());
      return;
    }
    this.board.reset();
    this.cpu.reset();
    this.cpu.writeRegisters(this.#boot());
  }

  /** A kernel without a boot loader finds what a BIOS leaves all the same, unless it lies there. */
  #direct(load: () => Registers, bios: Bios, ports: BusDevice): () => Registers {
    const { memory, graphics } = this.#options;
    let loaded = memory.slice(gpa(0), BIOS_LOW_MEMORY).some((byte) => byte !== 0);
    return () => {
      if (!loaded) bios.prepare();
      // From the second start on it is loaded over what is there.
      loaded = false;
      const registers = load();
      bios.startTimer();
      if (graphics !== undefined && memory.videoMemory !== undefined) showGraphics(ports, graphics);
      if ((registers.cr0 & CR0_PE) === 0n) bios.startKeyboard();
      return registers;
    };
  }

  #tell(message: string): void {
    this.#options.report(new GuestError("driver", message));
  }

  #installBios({ ports, screen }: Board, image: BootImage | undefined): Bios {
    const { memory, clock } = this.#options;
    const disks = this.#options.blocks.map(({ backend }) => backend);
    const media = bootMedia(image, disks);
    const bios = new Bios({
      ...{ ...media, memory, clock, ports },
      onScroll: () => screen.update(),
      onGraphics: (mode, shown) => {
        const hidden = shown ? ": --screen shows it" : ", which is not shown";
        const how = shown && memory.videoMemory !== undefined ? "" : hidden;
        this.#tell(`the guest set graphics mode ${hex(mode)}${how}`);
      },
      onVbeMissed: () => this.#tell("the guest looks for a display: --screen gives it one"),
    });
    ports.claim(TRAP_PORT, 1, {
      read: (_offset, size) => floating(size),
      write: () => bios.trap(this.cpu),
    });
    return bios;
  }
}

function pollAll(nets: MachineOptions["nets"]): boolean {
  let any = false;
  for (const { backend } of nets) if (backend.poll?.() === true) any = true;
  return any;
}

/** The processor and the back ends, watched; the board sees to the rest. */
const decorated = (options: MachineOptions, decorations: Decorations): MachineOptions => ({
  ...options,
  cpu: decorations.cpu(options.cpu, options.memory),
  nets: options.nets.map((net, i) => ({
    ...net,
    backend: decorations.net(net.backend, `net ${i}`),
  })),
  blocks: options.blocks.map((block, i) => ({
    ...block,
    backend: decorations.block(block.backend, `block ${i}`),
  })),
});

const timeBackends = (
  { console, nets, blocks }: MachineOptions,
  timer: TimedBackends,
): Pick<MachineOptions, "console" | "nets" | "blocks"> => ({
  console: timer.console(console),
  nets: nets.map((net) => ({ ...net, backend: timer.net(net.backend) })),
  blocks: blocks.map((block) => ({ ...block, backend: timer.block(block.backend) })),
});
