import type { Translations } from "../../src/core/translations.ts";
import { placeOf } from "../interpreter/block.ts";
import type { WindowExtent } from "./known-windows.ts";
import type { JumpTargets } from "./learnt-jumps.ts";
import { PACK_SIZE } from "./module.ts";
import type { Entry, Region, Span } from "./region.ts";

/** An instruction that a region leaves to a procedure. */
export interface KeptProcedure {
  readonly number: number;
  readonly codeSize: 16 | 32 | 64;
  /** Its own. */
  readonly bytes: Uint8Array;
}

/** A region of an earlier run, with all that it refers to. */
export interface KeptRegion extends Omit<Region, "function" | "looks"> {
  /** Its exit records. */
  readonly records: Uint8Array;
  readonly left: readonly KeptProcedure[];
  /** Exit records of jumps, and the guest physical address of each: see `LearntJumps`. */
  readonly jumps: readonly (readonly [record: number, address: number])[];
  /** How many runs have kept it without having needed it. */
  readonly idle: number;
}

/** Kept regions that come to share a module as soon as one of them is taken up. */
export interface KeptPack {
  /** By position. */
  readonly bodies: readonly (Uint8Array | undefined)[];
  readonly usesX87: boolean;
}

/** What regions of a run have in common. */
export interface KeptCommons {
  /** By number: see `WindowSets`. */
  readonly windowSets: readonly (readonly WindowExtent[])[];
  /** Where jumps have led to: see `LearntJumps`. */
  readonly jumps: readonly JumpTargets[];
  /** Whether the memory was a shared one: regions are for one or the other. */
  readonly shared: boolean;
}

/** As JSON has it: 64-bit numbers are text, and maps are lists. */
type Plain<Value> = Value extends bigint
  ? string
  : Value extends ReadonlyMap<infer Key, infer Item>
    ? (readonly [Plain<Key>, Plain<Item>])[]
    : Value extends Uint8Array
      ? number[]
      : Value extends object
        ? { readonly [Name in keyof Value]: Plain<Value[Name]> }
        : Value;

type Blobs = "body" | "code" | "records";

interface Line extends Plain<Omit<KeptRegion, Blobs>> {
  /** Bytes of each, one behind the other from `at`. */
  readonly at: number;
  readonly lengths: Readonly<Record<Blobs, number>>;
}

interface Text {
  readonly lines: readonly Line[];
  readonly commons: Plain<KeptCommons>;
}

/** For `JSON.stringify`. */
function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map || value instanceof Uint8Array) return [...value];
  return value;
}

/** For {@link KeptRegions}. */
export function packRegions(regions: readonly KeptRegion[], commons: KeptCommons): Translations {
  const blobs = regions.flatMap(({ body, code, records }) => [body, code, records]);
  const bytes = new Uint8Array(blobs.reduce((sum, { length }) => sum + length, 0));
  let end = 0;
  const lines = regions.map(({ body, code, records, ...others }) => {
    const at = end;
    for (const blob of [body, code, records]) {
      bytes.set(blob, end);
      end += blob.length;
    }
    const lengths = { body: body.length, code: code.length, records: records.length };
    return { ...others, at, lengths };
  });
  return { text: JSON.stringify({ lines, commons }, plain), bytes };
}

/** Regions of an earlier run that have not been taken up yet, by where they begin. */
export class KeptRegions {
  readonly commons: KeptCommons;
  readonly #lines = new Map<number, Line>();
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Those that share modules, in the pack of each. */
  readonly #packs = new Map<Line, KeptPack>();

  /** @throws Error if it is not of {@link packRegions} */
  constructor({ text, bytes }: Translations) {
    const { lines, commons }: Text = JSON.parse(text);
    for (const line of lines) this.#lines.set(placeOf(line.address, line.user), line);
    this.#bytes = bytes;
    for (const pack of packsOf(lines)) this.#addPack(pack);
    this.commons = {
      ...commons,
      windowSets: commons.windowSets.map((set) => set.map(extentOf)),
      jumps: commons.jumps.map((jump) => ({ ...jump, targets: jump.targets.map(BigInt) })),
    };
  }

  at({ address, user }: Entry): KeptRegion | undefined {
    const line = this.#lines.get(placeOf(address, user));
    return line === undefined ? undefined : this.#region(line);
  }

  #addPack(lines: readonly (Line | undefined)[]): void {
    const pack: KeptPack = {
      bodies: lines.map((line) => line && this.#bodyOf(line)),
      usesX87: lines.some((line) => line?.usesX87),
    };
    for (const line of lines) if (line !== undefined) this.#packs.set(line, pack);
  }

  #bodyOf({ at, lengths }: Line): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(at, at + lengths.body);
  }

  /** The pack of a region; undefined: it gets a module of its own. */
  packOf({ address, user }: Entry): KeptPack | undefined {
    const line = this.#lines.get(placeOf(address, user));
    return line === undefined ? undefined : this.#packs.get(line);
  }

  delete({ address, user }: Entry): void {
    this.#lines.delete(placeOf(address, user));
  }

  values(): KeptRegion[] {
    return [...this.#lines.values()].map((line) => this.#region(line));
  }

  /** All that they call, by linear address as `RegionTable` has it. */
  get slots(): Map<bigint, number> {
    const slots = new Map<bigint, number>();
    for (const { calls } of this.#lines.values()) {
      for (const [linear, slot] of calls) slots.set(BigInt(linear), slot);
    }
    return slots;
  }

  /** Behind the last exit record, and the last procedure, that they refer to. */
  get ends(): { readonly exit: number; readonly procedure: number } {
    const lines = [...this.#lines.values()];
    return {
      exit: Math.max(0, ...lines.map(({ exits }) => exits[1])),
      procedure: Math.max(0, ...lines.map(({ procedures }) => procedures[1])),
    };
  }

  #region(line: Line): KeptRegion {
    let end = line.at;
    const blob = (length: number): Uint8Array<ArrayBuffer> => {
      end += length;
      return this.#bytes.subarray(end - length, end);
    };
    return {
      ...line,
      linear: BigInt(line.linear),
      rip: BigInt(line.rip),
      limit: BigInt(line.limit),
      pages: new Map(line.pages),
      spans: line.spans as readonly Span[],
      calls: new Map(line.calls.map(([linear, slot]) => [BigInt(linear), slot])),
      left: line.left.map((one) => ({ ...one, bytes: Uint8Array.from(one.bytes) })),
      body: blob(line.lengths.body),
      code: blob(line.lengths.code),
      records: blob(line.lengths.records),
    };
  }
}

/** Regions without loops, by position, as many as share a module. */
function packsOf(lines: readonly Line[]): (Line | undefined)[][] {
  const packs: (Line | undefined)[][] = [];
  const counts: number[] = [];
  for (const line of lines) {
    const { position, loops } = line;
    if (loops || !isPosition(position)) continue;
    const nth = counts[position] ?? 0;
    counts[position] = nth + 1;
    const pack = packs[nth] ?? Array.from({ length: PACK_SIZE });
    packs[nth] = pack;
    pack[position] = line;
  }
  return packs;
}

/** The file is not believed: modules have no room for others. */
export const isPosition = (position: number): boolean =>
  Number.isInteger(position) && position >= 0 && position < PACK_SIZE;

const extentOf = ({ area, base, length }: Plain<WindowExtent>): WindowExtent => ({
  ...{ area, base: BigInt(base), length: BigInt(length) },
});
