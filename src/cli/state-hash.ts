import { gpa, PAGE_SIZE } from "../core/units.ts";
import { touchedPages } from "../host/touched-pages.ts";
import type { Machine } from "../machine/machine.ts";

/** Multipliers of MurmurHash3's 32-bit variants (Austin Appleby, public domain). */
const LANES = [
  { seed: 0x2f0b_4c47, multiplier: 0xcc9e_2d51, rotation: 15 },
  { seed: 0x66e0_7b2d, multiplier: 0x1b87_3593, rotation: 13 },
] as const;

/**
 * A hash of 64 bits, to tell whether two runs ended in the same state; not made against forgery.
 * Node's own hashes take milliseconds to load, at every start.
 */
class StateHash {
  readonly #lanes: Int32Array = Int32Array.from(LANES, ({ seed }) => seed);

  add(words: Int32Array): void {
    LANES.forEach(({ multiplier, rotation }, lane) => {
      let hash = this.#lanes[lane] as number;
      for (const word of words) {
        const mixed = Math.imul(word, multiplier);
        hash ^= (mixed << rotation) | (mixed >>> (32 - rotation));
        hash = (Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe654_6b64) | 0;
      }
      this.#lanes[lane] = hash;
    });
  }

  get text(): string {
    return [...this.#lanes].map((lane) => finish(lane).toString(16).padStart(8, "0")).join("");
  }
}

/** Every bit of the input changes half of the output's. */
function finish(hash: number): number {
  const first = Math.imul(hash ^ (hash >>> 16), 0x85eb_ca6b);
  const second = Math.imul(first ^ (first >>> 13), 0xc2b2_ae35);
  return (second ^ (second >>> 16)) >>> 0;
}

/** Of processor and memory. Pages of zeros do not count. */
export function stateHash({ cpu, memory }: Machine): string {
  const hash = new StateHash();
  const text = JSON.stringify(cpu.readState(), (_name, value: unknown) =>
    typeof value === "bigint" ? value.toString(16) : value,
  );
  hash.add(Int32Array.from(text, (letter) => letter.charCodeAt(0)));
  const touched = touchedPages(memory);
  for (let at = 0; at < memory.extent; at += PAGE_SIZE) {
    if (!touched(gpa(at))) continue;
    const { buffer, byteOffset } = memory.slice(gpa(at), PAGE_SIZE);
    const words = new Int32Array(buffer, byteOffset, PAGE_SIZE / 4);
    if (words.every((word) => word === 0)) continue;
    hash.add(Int32Array.of(at));
    hash.add(words);
  }
  return hash.text;
}
