import type { VmExit } from "../../src/core/cpu.ts";
import type { ProcessorState } from "../../src/core/processor-state.ts";
import { PAGE_SIZE } from "../memory/physical.ts";
import type { Processor } from "../processor.ts";
import { FX_AREA_END, RAM_BASE, STATE, STATE_BYTES } from "../state.ts";

/** Parts of the state that are the same bytes wherever processors are in the same state. */
const PLAIN: readonly (readonly [start: number, end: number])[] = [
  [STATE.GPR, STATE.ZERO],
  [STATE.RIP, STATE.FLAG_RESULT],
  [STATE.RFLAGS, STATE.FLAG_KIND],
  [STATE.SEGMENTS, STATE.READ_WINDOW_BASE],
  [STATE.SHADOW, STATE.TSC_OFFSET + 8],
  [STATE.FX_AREA, FX_AREA_END],
  [STATE.MTRR_FIXED, STATE_BYTES],
];
const WORD = 4;
/** Accessed and dirty (Intel SDM vol. 3A §4.8): processors set them when they look a page up. */
const WALK_FLAGS = 0x60;

/** Whether two processors are surely in the same state; if not, {@link differences} tells. */
export function surelySame(a: Processor, b: Processor): boolean {
  if (a.rflags !== b.rflags) return false;
  const [left, right] = [new Int32Array(a.buffer), new Int32Array(b.buffer)];
  return PLAIN.every(([start, end]) => {
    for (let at = start / WORD; at < end / WORD; at++) if (left[at] !== right[at]) return false;
    return true;
  });
}

/** What is not the same, a line each. */
export function differences(interpreted: ProcessorState, translated: ProcessorState): string[] {
  const [left, right] = [flat(interpreted), flat(translated)];
  return [...left].flatMap(([name, value]) => {
    const other = right.get(name);
    return other === value ? [] : [`${name}: interpreter ${value}, JIT ${other}`];
  });
}

/** All values of a state by their names. */
export function flat(state: unknown, prefix = ""): Map<string, string> {
  if (typeof state === "bigint") return new Map([[prefix, `0x${state.toString(16)}`]]);
  if (typeof state !== "object" || state === null) return new Map([[prefix, String(state)]]);
  const values = new Map<string, string>();
  for (const [name, value] of Object.entries(state)) {
    for (const [key, text] of flat(value, prefix === "" ? name : `${prefix}.${name}`)) {
      values.set(key, text);
    }
  }
  return values;
}

/** RAM of two processors, page by page. */
export class TwinMemory {
  readonly pages: number;
  readonly #interpreted: Int32Array;
  readonly #translated: Int32Array;

  /** @param interpreted, translated WebAssembly memories laid out as `state.ts` says */
  constructor(interpreted: ArrayBuffer, translated: ArrayBuffer) {
    this.#interpreted = new Int32Array(interpreted, RAM_BASE);
    this.#translated = new Int32Array(translated, RAM_BASE);
    this.pages = (this.#interpreted.length * WORD) / PAGE_SIZE;
  }

  /**
   * The first address on a page where they differ; undefined if they do not. Flags of page tables are
   * set at times that depend on what a processor remembers: they become those of the JIT's memory.
   */
  difference(page: number): number | undefined {
    const [left, right] = [this.#interpreted, this.#translated];
    const end = ((page + 1) * PAGE_SIZE) / WORD;
    for (let at = end - PAGE_SIZE / WORD; at < end; at++) {
      const value = right[at] as number;
      const difference = (left[at] as number) ^ value;
      if (difference === 0) continue;
      if ((difference & ~WALK_FLAGS) !== 0) return at * WORD;
      left[at] = value;
    }
    return undefined;
  }

  /** Words at an address, in text. */
  describe(address: number): string {
    const word = (memory: Int32Array) => ((memory[address / WORD] ?? 0) >>> 0).toString(16);
    const values = `interpreter 0x${word(this.#interpreted)}, JIT 0x${word(this.#translated)}`;
    return `memory at 0x${address.toString(16)}: ${values}`;
  }
}

/** What an exit asks for, in text. */
export function describeExit(exit: VmExit): string {
  switch (exit.kind) {
    case "port-read":
      return `${exit.kind} ${exit.port.toString(16)} ${exit.size} ${exit.count}`;
    case "port-write": {
      const values = Array.from({ length: exit.count }, (_, index) => exit.value(index));
      return `${exit.kind} ${exit.port.toString(16)} ${exit.size} ${values.join(" ")}`;
    }
    case "mmio-read":
      return `${exit.kind} ${exit.address.toString(16)} ${exit.length}`;
    case "mmio-write":
      return `${exit.kind} ${exit.address.toString(16)} ${exit.data.slice(0, exit.length).join(" ")}`;
    default:
      return exit.kind;
  }
}
