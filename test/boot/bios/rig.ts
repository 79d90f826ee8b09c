import { Bios } from "../../../src/boot/bios/bios.ts";
import { BiosCall } from "../../../src/boot/bios/call.ts";
import type { Drive } from "../../../src/boot/bios/drive.ts";
import type { ElToritoBoot } from "../../../src/boot/bios/el-torito-boot.ts";
import { againOffset, ROM_SEGMENT } from "../../../src/boot/bios/rom.ts";
import { realModeState } from "../../../src/boot/entry-state.ts";
import { VirtualClock } from "../../../src/core/clock.ts";
import type { Registers } from "../../../src/core/cpu.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { CopiedRegisters } from "../../../src/core/register-access.ts";
import { gpa, MIB, SECOND } from "../../../src/core/units.ts";
import { Board } from "../../../src/machine/board.ts";
import { FakeConsole } from "../../support/fake-console.ts";

const STACK = 0x7000;
/** 2026-11-28T12:34:56Z */
const WALL = 1_795_869_296;

type Name = Parameters<BiosCall["get"]>[0];

/** The BIOS on a board, with registers in the place of a processor. */
export class BiosRig {
  readonly memory: GuestMemory;
  readonly clock = new VirtualClock(WALL * SECOND);
  readonly console = new FakeConsole();
  readonly board: Board;
  readonly bios: Bios;
  registers: Registers;
  scrolls = 0;
  readonly graphics: number[] = [];
  readonly modes: string[] = [];
  vbeMissed = 0;
  /** Resets of the machine that have been asked for. */
  resets = 0;

  constructor(media: { drives?: readonly Drive[]; cd?: ElToritoBoot; display?: boolean } = {}) {
    const [ram, video] = [64 * MIB, media.display === true ? 16 * MIB : 0];
    const buffer = new ArrayBuffer(ram + video);
    const behind = video === 0 ? undefined : { address: ram, length: video };
    this.memory = new GuestMemory(buffer, 0, ram, behind);
    const { memory, clock, console } = this;
    this.board = new Board({
      ...{ memory, clock, console, nets: [], blocks: [] },
      report: () => {},
      onEnd: () => {},
      onReset: () => {
        this.resets++;
      },
      onMode: (...mode) => this.modes.push(mode.join("x")),
      onInterrupt: () => {},
    });
    this.bios = new Bios({
      ...{ memory, clock, ports: this.board.ports },
      drives: media.drives ?? [],
      cd: media.cd,
      onScroll: () => {
        this.scrolls++;
      },
      onGraphics: (mode) => this.graphics.push(mode),
      onVbeMissed: () => {
        this.vbeMissed++;
      },
    });
    this.registers = this.bios.start();
    this.trap();
  }

  /** The guest traps where it is. */
  trap(): void {
    this.bios.trap({
      readRegisters: () => ({ ...this.registers }),
      writeRegisters: (registers) => {
        this.registers = registers;
      },
    });
  }

  /** Calls a service, and once more as long as it waits, after `between`. */
  int(
    vector: number,
    values: Partial<Record<Name | "es" | "ds", number>>,
    between?: () => void,
  ): BiosCall & { readonly waited: number } {
    const entry = this.memory.readU16(gpa(4 * vector));
    this.registers = {
      ...realModeState(ROM_SEGMENT, entry),
      rsp: BigInt(STACK),
      ds: segment(values.ds ?? 0),
      es: segment(values.es ?? 0),
    };
    this.memory.writeU16(gpa(STACK + 4), 0x202);
    const call = new BiosCall(new CopiedRegisters(this.registers), this.memory);
    for (const [name, value] of Object.entries(values)) {
      if (name !== "es" && name !== "ds") call.set(name as Name, value);
    }
    let waited = 0;
    for (;;) {
      this.registers.rip = BigInt(entry + 3);
      this.trap();
      const again = [true, false].some(
        (wait) => this.registers.rip === BigInt(againOffset(vector, wait)),
      );
      if (!again) break;
      waited++;
      if (between === undefined) throw new Error(`INT ${vector.toString(16)}h waits`);
      between();
    }
    return Object.assign(new BiosCall(new CopiedRegisters(this.registers), this.memory), {
      waited,
    });
  }

  /** Rows of the text screen, without blanks at their ends. */
  rows(): string[] {
    return Array.from({ length: 25 }, (_, row) => {
      const cells = this.memory.slice(gpa(0xb_8000 + 160 * row), 160);
      return [...cells.filter((_, i) => i % 2 === 0)]
        .map((byte) => String.fromCharCode(byte))
        .join("")
        .trimEnd();
    });
  }

  zero(): boolean {
    return (this.memory.readU16(gpa(STACK + 4)) & 0x40) !== 0;
  }
}

const segment = (selector: number): Registers["ds"] => ({
  selector,
  base: BigInt(selector) << 4n,
  limit: 0xffff,
  attributes: 0x93,
});
