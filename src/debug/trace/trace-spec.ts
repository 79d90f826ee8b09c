/** What is to be traced, as the user says it. */

export const TRACE_KINDS = [
  ...(["exit", "port", "mmio", "irq", "virtio", "net", "block", "cpu"] as const),
] as const;
export type TraceKind = (typeof TRACE_KINDS)[number];

/** Numbers, both ends included. */
export interface NumberRange {
  readonly first: number;
  readonly last: number;
}

export interface TraceSpec {
  readonly kinds: ReadonlySet<TraceKind>;
  /** Ports, guest physical addresses, interrupt lines: those that are told; all unless given. */
  readonly ranges: ReadonlyMap<TraceKind, readonly NumberRange[]>;
  /** Functions whose instructions are told; all unless given. */
  readonly functions: readonly string[];
  /** Where the lines go; standard error unless given. */
  readonly file: string | undefined;
}

const WITH_RANGES: ReadonlySet<string> = new Set(["port", "mmio", "irq"] satisfies TraceKind[]);

/**
 * @param text for example `port=3f8-3ff,irq:FILE` or `cpu=main`; numbers are hexadecimal but those of
 *   interrupt lines. A kind may be given again, with another range.
 * @throws Error with a sentence for the user
 */
export function parseTrace(text: string): TraceSpec {
  const colon = text.indexOf(":");
  const list = colon < 0 ? text : text.slice(0, colon);
  const file = colon < 0 ? undefined : text.slice(colon + 1);
  if (file === "") throw new Error("there is no file after the colon");
  const kinds = new Set<TraceKind>();
  const ranges = new Map<TraceKind, NumberRange[]>();
  const functions: string[] = [];
  for (const word of list.split(",")) {
    const [name = "", filter] = word.split("=", 2);
    const kind = TRACE_KINDS.find((candidate) => candidate === name);
    if (kind === undefined) {
      throw new Error(`"${name}" is none of the kinds ${TRACE_KINDS.join(", ")}`);
    }
    kinds.add(kind);
    if (filter === undefined) continue;
    if (kind === "cpu" && filter !== "") functions.push(filter);
    else if (WITH_RANGES.has(kind)) {
      ranges.set(kind, [...(ranges.get(kind) ?? []), parseRange(filter, kind)]);
    } else throw new Error(`${kind} has no filter`);
  }
  return { kinds, ranges, functions, file };
}

function parseRange(text: string, kind: TraceKind): NumberRange {
  const radix = kind === "irq" ? 10 : 16;
  const digits = radix === 16 ? "(?:0x)?([0-9a-f]+)" : "([0-9]+)";
  const match = new RegExp(`^${digits}(?:-${digits})?$`, "i").exec(text);
  const first = Number.parseInt(match?.[1] ?? "", radix);
  const last = match?.[2] === undefined ? first : Number.parseInt(match[2], radix);
  if (!(first <= last)) throw new Error(`"${text}" is not a range such as 3f8-3ff`);
  return { first, last };
}
