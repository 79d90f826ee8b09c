import type { Translations } from "../../src/core/translations.ts";
import { placeOf } from "../interpreter/block.ts";
import type { WindowExtent } from "./known-windows.ts";
import type { JumpTargets } from "./learnt-jumps.ts";
import type { KeptModule } from "./loaded-module.ts";
import { PACK_SIZE } from "./module.ts";
import type { Entry, Range, Region, Span } from "./region.ts";

/** An instruction that a region leaves to a procedure. */
export interface KeptProcedure {
  readonly number: number;
  readonly codeSize: 16 | 32 | 64;
  /** Its own. */
  readonly bytes: Uint8Array;
}

/** A region of an earlier run, with all that it refers to. */
export interface KeptRegion extends Omit<Region, "function" | "looks" | "module"> {
  /** What it is in. */
  readonly module: KeptModule;
  /** Its exit records. */
  readonly records: Uint8Array;
  readonly left: readonly KeptProcedure[];
  /** Exit records of jumps, and the guest physical address of each: see `LearntJumps`. */
  readonly jumps: readonly (readonly [record: number, address: number])[];
  /** How many runs have kept it without having needed it. */
  readonly idle: number;
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

type Blobs = "code" | "records";

interface Line extends Plain<Omit<KeptRegion, Blobs | "body" | "module">> {
  /** Bytes of each, one behind the other from `at`. */
  readonly at: number;
  readonly lengths: Readonly<Record<Blobs, number>>;
  /** Of {@link Text.modules}. */
  readonly module: number;
  /** In the module's bytes: where it begins, and behind it. */
  readonly body: Range;
}

interface ModuleLine extends Omit<KeptModule, "bytes" | "code"> {
  /** Bytes of the module, and behind them the machine code. */
  readonly at: number;
  readonly lengths: { readonly bytes: number; readonly code: number };
  /** Of both: a bit that is another one would be executed. */
  readonly sum: number;
}

interface Text {
  readonly lines: readonly Line[];
  readonly modules: readonly ModuleLine[];
  readonly commons: Plain<KeptCommons>;
}

/** For `JSON.stringify`. */
function plain(_name: string, value: unknown): unknown {
  if (typeof value === "bigint") return String(value);
  if (value instanceof Map || value instanceof Uint8Array) return [...value];
  return value;
}

/** For {@link KeptRegions}. @param withCode whether machine code is kept as well */
export function packRegions(
  regions: readonly KeptRegion[],
  withCode: boolean,
  commons: KeptCommons,
): Translations {
  const blobs: Uint8Array[] = [];
  let end = 0;
  const append = (...parts: readonly Uint8Array[]): number => {
    const start = end;
    for (const part of parts) {
      blobs.push(part);
      end += part.length;
    }
    return start;
  };
  const numbers = new Map<KeptModule, number>();
  for (const { module } of regions) if (!numbers.has(module)) numbers.set(module, numbers.size);
  const modules = [...numbers.keys()].map(({ bytes, code: known, ...others }) => {
    const code = (withCode ? known : undefined) ?? EMPTY;
    const lengths = { bytes: bytes.length, code: code.length };
    return { ...others, at: append(bytes, code), lengths, sum: checksum(bytes, code) };
  });
  const lines = regions.map(({ body, code, records, module, ...others }) => {
    const start = body.byteOffset - module.bytes.byteOffset;
    return {
      ...others,
      at: append(code, records),
      lengths: { code: code.length, records: records.length },
      module: numbers.get(module),
      body: [start, start + body.length],
    };
  });
  const bytes = new Uint8Array(end);
  let at = 0;
  for (const blob of blobs) {
    bytes.set(blob, at);
    at += blob.length;
  }
  return { text: JSON.stringify({ lines, modules, commons }, plain), bytes };
}

const EMPTY = new Uint8Array();

/** FNV-1a with 32 bits, of words: bytes that are left over are one each. */
function checksum(...parts: readonly Uint8Array[]): number {
  let sum = 0x811c_9dc5;
  for (const part of parts) {
    const view = new DataView(part.buffer, part.byteOffset, part.length);
    const words = part.length & ~3;
    for (let at = 0; at < words; at += 4) sum = Math.imul(sum ^ view.getInt32(at, true), FNV_PRIME);
    for (let at = words; at < part.length; at++)
      sum = Math.imul(sum ^ view.getUint8(at), FNV_PRIME);
  }
  return sum;
}

const FNV_PRIME = 0x0100_0193;

/** What tells whether a region is right. */
export type Candidate = Omit<KeptRegion, "module" | "body">;

/** Regions of an earlier run that have not been taken up yet, by where they begin: for other code there, others. */
export class KeptRegions {
  readonly commons: KeptCommons;
  /** How many there were at first. */
  readonly total: number;
  readonly #lines = new Map<number, readonly Line[]>();
  readonly #bytes: Uint8Array<ArrayBuffer>;
  readonly #moduleLines: readonly ModuleLine[];
  /** Those that have been asked for; undefined: it is not what was kept. */
  readonly #modules: (KeptModule | undefined)[] = [];

  /** @throws Error if it is not of {@link packRegions} */
  constructor({ text, bytes }: Translations) {
    const { lines, modules, commons }: Text = JSON.parse(text);
    this.total = lines.length;
    for (const line of lines) {
      const place = placeOf(line.address, line.user);
      this.#lines.set(place, [...(this.#lines.get(place) ?? []), line]);
    }
    this.#bytes = bytes;
    this.#moduleLines = modules;
    this.commons = {
      ...commons,
      windowSets: commons.windowSets.map((set) => set.map(extentOf)),
      jumps: commons.jumps.map((jump) => ({ ...jump, targets: jump.targets.map(BigInt) })),
    };
  }

  /** Takes the region out that begins at a place and is right. */
  take({ address, user }: Entry, isRight: (one: Candidate) => boolean): KeptRegion | undefined {
    const place = placeOf(address, user);
    const lines = this.#lines.get(place);
    const line = lines?.find((one) => isRight(this.#candidate(one)));
    if (lines === undefined || line === undefined) return undefined;
    this.#lines.set(
      place,
      lines.filter((one) => one !== line),
    );
    return this.#region(line);
  }

  #moduleAt(number: number): KeptModule | undefined {
    if (!(number in this.#modules)) this.#modules[number] = this.#readModule(number);
    return this.#modules[number];
  }

  #readModule(number: number): KeptModule | undefined {
    const line = this.#moduleLines[number];
    if (line === undefined) return undefined;
    const { at, lengths, sum, ...others } = line;
    const end = at + lengths.bytes;
    const bytes = this.#bytes.subarray(at, end);
    const code = this.#bytes.subarray(end, end + lengths.code);
    if (checksum(bytes, code) !== sum) return undefined;
    return { ...others, bytes, code: code.length > 0 ? code : undefined };
  }

  /** There is another region for the same code. */
  supersede({ address, user, code }: Entry & Pick<Region, "code">): void {
    const place = placeOf(address, user);
    const lines = this.#lines.get(place);
    if (lines === undefined) return;
    const others = lines.filter((line) => !isEqual(this.#candidate(line).code, code));
    this.#lines.set(place, others);
  }

  get #all(): readonly Line[] {
    return [...this.#lines.values()].flat();
  }

  values(): KeptRegion[] {
    return this.#all.flatMap((line) => this.#region(line) ?? []);
  }

  /** All that they call, by linear address as `RegionTable` has it. */
  get slots(): Map<bigint, number> {
    const slots = new Map<bigint, number>();
    for (const { calls } of this.#all) {
      for (const [linear, slot] of calls) slots.set(BigInt(linear), slot);
    }
    return slots;
  }

  /** Behind the last exit record, and the last procedure, that they refer to. */
  get ends(): { readonly exit: number; readonly procedure: number } {
    const lines = this.#all;
    return {
      exit: Math.max(0, ...lines.map(({ exits }) => exits[1])),
      procedure: Math.max(0, ...lines.map(({ procedures }) => procedures[1])),
    };
  }

  #region(line: Line): KeptRegion | undefined {
    const module = this.#moduleAt(line.module);
    if (module === undefined || !isPosition(line.position)) return undefined;
    return { ...this.#candidate(line), module, body: module.bytes.subarray(...line.body) };
  }

  #candidate(line: Line): Candidate {
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
      code: blob(line.lengths.code),
      records: blob(line.lengths.records),
    };
  }
}

/** The file is not believed: modules have no room for others. */
const isPosition = (position: number): boolean =>
  Number.isInteger(position) && position >= 0 && position < PACK_SIZE;

const isEqual = (one: Uint8Array, other: Uint8Array): boolean =>
  one.length === other.length && one.every((byte, at) => byte === other[at]);

const extentOf = ({ area, base, length }: Plain<WindowExtent>): WindowExtent => ({
  ...{ area, base: BigInt(base), length: BigInt(length) },
});
