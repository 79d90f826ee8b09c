/** `m`, `M`, `x`, `X` and what is where: memory by linear address. */
import { fromHex, parseLength, parseNumber, toHex } from "./hex.ts";
import { latin1, PACKET_SIZE } from "./packet.ts";
import { ERROR, type Handlers, NO_MEMORY, OK, type Session, UNSUPPORTED } from "./session.ts";

interface Range {
  readonly address: bigint;
  readonly length: number;
}

/** `ADDRESS,LENGTH` */
function parseRange(text: string): Range | undefined {
  const [first, second] = text.split(",");
  const address = parseNumber(first);
  const length = parseLength(second);
  return address === undefined || length === undefined ? undefined : { address, length };
}

/** @param longest that the reply has room for */
function read({ target }: Session, text: string, longest: number): Uint8Array | undefined {
  const range = parseRange(text);
  return range && target.readMemory(range.address, Math.min(range.length, longest));
}

/** `ADDRESS,LENGTH:DATA` */
function write(
  { target }: Session,
  rest: string,
  decode: (data: string) => Uint8Array | undefined,
) {
  const colon = rest.indexOf(":");
  const range = colon < 0 ? undefined : parseRange(rest.slice(0, colon));
  const bytes = decode(rest.slice(colon + 1));
  if (range === undefined || bytes?.length !== range.length) return ERROR;
  return target.writeMemory(range.address, bytes) ? OK : NO_MEMORY;
}

const bytesOf = (data: string): Uint8Array =>
  Uint8Array.from(data, (character) => character.charCodeAt(0));

export const MEMORY_HANDLERS: Handlers = {
  m: (session, rest) => {
    const bytes = read(session, rest, PACKET_SIZE / 2);
    if (bytes === undefined) return ERROR;
    return bytes.length === 0 && !/,0+$/.test(rest) ? NO_MEMORY : toHex(bytes);
  },

  /** With the mark that GDB wants; LLDB asks `x0,0` for a kind without it. */
  x: (session, rest) => {
    if (rest === "0,0") return UNSUPPORTED;
    const bytes = read(session, rest, PACKET_SIZE / 2 - 1);
    if (bytes === undefined) return ERROR;
    return bytes.length === 0 && !/,0+$/.test(rest) ? NO_MEMORY : `b${latin1(bytes)}`;
  },

  M: (session, rest) => write(session, rest, fromHex),
  X: (session, rest) => write(session, rest, bytesOf),

  qMemoryRegionInfo: ({ target }, rest) => {
    const address = parseNumber(rest.slice(1));
    if (address === undefined) return ERROR;
    const { start, size, permissions } = target.region(address);
    const rights = permissions === "" ? "" : `permissions:${permissions};`;
    return `start:${start.toString(16)};size:${size.toString(16)};${rights}`;
  },
};
