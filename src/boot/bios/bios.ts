/**
 * The PC's BIOS: what an operating system of the field finds before it has drivers of its own. Code
 * that runs in the guest is a few bytes for each interrupt vector (`rom.ts`); they trap, and the
 * services are here. The machine says where its parts are, and calls {@link Bios.trap}.
 */

import type { Clock } from "../../core/clock.ts";
import type { Registers } from "../../core/cpu.ts";
import type { BusDevice } from "../../core/device.ts";
import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { CopiedRegisters, type RegisterAccess } from "../../core/register-access.ts";
import { gpa } from "../../core/units.ts";
import { realModeState } from "../entry-state.ts";
import { BiosCall, type Service, WAIT } from "./call.ts";
import { BiosDataArea } from "./data-area.ts";
import { Disk } from "./disk.ts";
import { type Drive, isBootSector } from "./drive.ts";
import type { ElToritoBoot } from "./el-torito-boot.ts";
import type { BiosEnvironment } from "./environment.ts";
import { Keyboard } from "./keyboard.ts";
import { equipment, memorySize, printer, serial } from "./peripherals.ts";
import {
  againOffset,
  HALT_OFFSET,
  POWER_ON_OFFSET,
  POWER_ON_VECTOR,
  ROM_BASE,
  ROM_SEGMENT,
  vectorAt,
  writeRom,
} from "./rom.ts";
import { SystemServices } from "./system.ts";
import { Time } from "./time.ts";
import { KEEP_MEMORY, Video } from "./video.ts";

const BOOT_ADDRESS = 0x7c00;
const SECTOR_SIZE = 512;
const TEXT_MODE = 3;

const FLAG_INTERRUPT = 1n << 9n;
const RESERVED_FLAG = 1n << 1n;

/** The stack that a boot sector is given: below itself. */
const BOOT_STACK = BOOT_ADDRESS;

const PIC_PRIMARY = 0x20;
const PIC_SECONDARY = 0xa0;
const END_OF_INTERRUPT = 0x20;
const RTC_INDEX = 0x70;
const RTC_REGISTER_C = 0x0c;

/** Status of the keyboard's controller, and its commands. */
const KEYBOARD_STATUS = 0x64;
const RESET_PROCESSOR = 0xfe;
const PIT_CONTROL = 0x43;
const PIT_COUNTER_0 = 0x40;
/** Counter 0, both bytes, square wave. */
const PIT_SQUARE_WAVE = 0x36;

export interface BiosOptions {
  readonly memory: GuestMemory;
  readonly ports: BusDevice;
  readonly clock: Clock;
  /** By number, floppies first. */
  readonly drives: readonly Drive[];
  /** What to boot from a CD; else the first of the drives that has a boot sector. */
  readonly cd: ElToritoBoot | undefined;
  readonly onScroll: () => void;
  readonly onGraphics: (mode: number, shown: boolean) => void;
  readonly onVbeMissed: () => void;
}

/** The processor in the middle of a trap. */
export interface TrappedProcessor {
  readRegisters(): Registers;
  writeRegisters(registers: Registers): void;
  /** As a `Cpu` has it. */
  readonly registerAccess?: RegisterAccess;
}

export class Bios {
  readonly #env: BiosEnvironment;
  readonly #cd: ElToritoBoot | undefined;
  readonly #services: ReadonlyMap<number, Service>;
  /** Whether there has been a power-on test since the machine began, or what stands for it. */
  #hasStarted = false;
  readonly #video: Video;
  readonly #time: Time;
  readonly #system: SystemServices;

  constructor(options: BiosOptions) {
    const env = { ...options, data: new BiosDataArea(options.memory) };
    this.#env = env;
    this.#cd = options.cd;
    this.#video = new Video(env);
    this.#time = new Time(env);
    this.#system = new SystemServices(env);
    const keyboard = new Keyboard(env);
    this.#services = new Map<number, Service>([
      [
        0x08,
        (call) => {
          // For programs that take keys out of the buffer by themselves.
          keyboard.resume();
          return this.#time.tick(call);
        },
      ],
      [0x09, keyboard.interrupt],
      ...[0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f].map((n): [number, Service] => [n, this.#strayIrq]),
      [0x10, this.#video.service],
      [0x11, equipment(env)],
      [0x12, memorySize(env)],
      [0x13, new Disk(env, options.cd).service],
      [0x14, serial(env)],
      [0x15, this.#system.service],
      [0x16, keyboard.service],
      [0x17, printer],
      [0x18, (call) => this.#noBootDevice(call)],
      [0x19, (call) => this.#bootstrap(call)],
      [0x1a, this.#time.service],
      [0x70, this.#clockIrq],
      ...[0x71, 0x72, 0x73, 0x74, 0x75, 0x76, 0x77].map((n): [number, Service] => [
        n,
        this.#strayIrqOfSecondary,
      ]),
      [POWER_ON_VECTOR, (call) => this.#powerOn(call)],
    ]);
  }

  /** Makes the ROM, and returns the state of the processor that is about to run it. */
  start(): Registers {
    this.#writeRom();
    this.#hasStarted = false;
    return realModeState(ROM_SEGMENT, POWER_ON_OFFSET);
  }

  /**
   * Makes the ROM and the data area as they are when a boot loader hands over: for a kernel that
   * goes back to real mode to ask for something.
   */
  prepare(): void {
    this.#writeRom();
    this.#hasStarted = true;
    this.#initialiseData();
    this.#video.mode = TEXT_MODE | KEEP_MEMORY;
  }

  /** Keys are for the keyboard from now on. */
  startKeyboard(): void {
    this.#env.ports.read(KEYBOARD_STATUS, 1);
  }

  /** The time of day goes on: 18.2 interrupts a second. */
  startTimer(): void {
    const { ports } = this.#env;
    ports.write(PIT_CONTROL, 1, PIT_SQUARE_WAVE);
    ports.write(PIT_COUNTER_0, 1, 0);
    ports.write(PIT_COUNTER_0, 1, 0);
  }

  /** The guest wrote to the trap port. What is not an entry of the ROM's is passed over. */
  trap(cpu: TrappedProcessor): void {
    if (cpu.registerAccess !== undefined) {
      this.#serve(cpu.registerAccess);
      return;
    }
    const registers = new CopiedRegisters(cpu.readRegisters());
    if (this.#serve(registers)) cpu.writeRegisters(registers.all);
  }

  /** Returns whether there was a service. */
  #serve(registers: RegisterAccess): boolean {
    if (registers.base("cs") !== ROM_BASE) return false;
    const vector = vectorAt(registers.ip);
    const service = vector === undefined ? undefined : this.#services.get(vector);
    if (vector === undefined || service === undefined) return false;
    const call = new BiosCall(registers, this.#env.memory);
    if (!call.hasFlags) return false;
    try {
      const again = service(call);
      if (again !== undefined) registers.ip = againOffset(vector, again === WAIT);
    } catch (error) {
      // It was given an address that is nowhere.
      if (!(error instanceof GuestError)) throw error;
      return false;
    }
    return true;
  }

  /**
   * What the power-on test leaves behind, and then the bootstrap. Who comes here later, by the reset vector as Linux
   * with `reboot=bios`, wants all of the machine to begin anew.
   */
  #powerOn(call: BiosCall): undefined {
    if (this.#hasStarted) {
      this.#env.ports.write(KEYBOARD_STATUS, 1, RESET_PROCESSOR);
      call.registers.assign(realModeState(ROM_SEGMENT, HALT_OFFSET));
      return undefined;
    }
    this.#hasStarted = true;
    this.#initialiseData();
    this.#video.mode = TEXT_MODE;
    this.startKeyboard();
    this.startTimer();
    return this.#bootstrap(call);
  }

  #writeRom(): void {
    const { memory, drives } = this.#env;
    writeRom(memory, (vector) => this.#services.has(vector), drives);
  }

  #initialiseData(): void {
    this.#system.reset();
    const { data, drives } = this.#env;
    const count = (kind: Drive["kind"]): number =>
      drives.filter((drive) => drive.kind === kind).length;
    data.initialise({
      floppies: count("floppy"),
      hardDisks: count("disk"),
      ticks: this.#time.ticksNow(),
    });
  }

  /** INT 19h: the first boot sector found is entered, with its drive in DL. */
  #bootstrap(call: BiosCall): undefined {
    try {
      if (this.#cd !== undefined) this.#bootCd(call, this.#cd);
      else this.#bootDisk(call);
    } catch (error) {
      if (!(error instanceof GuestError)) throw error;
      this.#video.print(`${error.message}\n`);
      this.#noBootDevice(call);
    }
    return undefined;
  }

  #bootCd(call: BiosCall, cd: ElToritoBoot): void {
    const { memory } = this.#env;
    const { program } = cd;
    memory.write(gpa(cd.segment << 4), program.read(0, program.size));
    enter(call, cd.segment, cd.driveNumber);
  }

  #bootDisk(call: BiosCall): void {
    const { memory, drives } = this.#env;
    for (const { number, kind, disk } of drives) {
      if (kind === "cd") continue;
      const sector = new Uint8Array(SECTOR_SIZE);
      disk.read(0, sector);
      if (!isBootSector(kind, sector)) continue;
      memory.write(gpa(BOOT_ADDRESS), sector);
      enter(call, BOOT_ADDRESS >> 4, number);
      return;
    }
    this.#noBootDevice(call);
  }

  /** INT 18h. */
  #noBootDevice(call: BiosCall): undefined {
    this.#video.print("No bootable device.\n");
    call.registers.assign(realModeState(ROM_SEGMENT, HALT_OFFSET));
    return undefined;
  }

  readonly #strayIrq: Service = () => {
    this.#env.ports.write(PIC_PRIMARY, 1, END_OF_INTERRUPT);
    return undefined;
  };

  readonly #strayIrqOfSecondary: Service = () => {
    this.#env.ports.write(PIC_SECONDARY, 1, END_OF_INTERRUPT);
    this.#env.ports.write(PIC_PRIMARY, 1, END_OF_INTERRUPT);
    return undefined;
  };

  /** Reading register C is what ends the interrupt for the clock. */
  readonly #clockIrq: Service = (call) => {
    this.#env.ports.write(RTC_INDEX, 1, RTC_REGISTER_C);
    this.#env.ports.read(RTC_INDEX + 1, 1);
    return this.#strayIrqOfSecondary(call);
  };
}

/** The state in which boot sectors have been entered since 1981. */
function enter(call: BiosCall, segment: number, drive: number): void {
  // 0:7c00 rather than 7c0:0 as all but a few do.
  const [cs, ip] = segment === BOOT_ADDRESS >> 4 ? [0, BOOT_ADDRESS] : [segment, 0];
  call.registers.assign({
    ...realModeState(cs, ip),
    rsp: BigInt(BOOT_STACK),
    rflags: RESERVED_FLAG | FLAG_INTERRUPT,
    rdx: BigInt(drive),
    rax: 0xaa55n,
  });
}
