import { isGroupMac, type MacAddress, parseMac } from "../net/mac.ts";

interface Named {
  /** As the guest's manifest has it, if it has one; `--stats` shows it. */
  readonly name?: string | undefined;
}

/** `--net [NAME=]BACKEND[,nat][,mac=MAC]` */
export type NetSpec = Named & {
  /** Undefined: by position. */
  readonly mac?: MacAddress | undefined;
} & (
    | { readonly kind: "user" /** Whether the guest gets out. */; readonly nat?: true }
    | { readonly kind: "none" }
    | { readonly kind: "tap"; readonly interface: string }
  );

/** `--block [NAME=]FILE[,ro]` */
export interface BlockSpec extends Named {
  /** Bytes of a block, where the machine lets the user choose. */
  readonly blockSize?: number | undefined;
  readonly path: string;
  readonly readOnly: boolean;
}

/** Names in a Solo5 manifest: at most MFT_NAME_MAX characters (Solo5, mft_abi.h). */
const MAX_NAME_LENGTH = 67;
const NAME = /^[A-Za-z0-9_.-]+$/;

/**
 * Pieces between commas; two commas are one that belongs to a piece, as QEMU's users know it.
 * @returns at least one piece
 */
function splitAtCommas(text: string): [string, ...string[]] {
  const pieces: [string, ...string[]] = [""];
  for (const part of text.match(/,,|,|[^,]+/g) ?? []) {
    if (part === ",") pieces.push("");
    else pieces[pieces.length - 1] += part === ",," ? "," : part;
  }
  return pieces;
}

/** `NAME=rest`; what stands before the sign but cannot be a name belongs to the rest. */
function splitName(text: string): { name: string | undefined; rest: string } {
  const sign = text.indexOf("=");
  const name = text.slice(0, sign);
  if (sign < 0 || (sign > 0 && !NAME.test(name))) return { name: undefined, rest: text };
  if (sign === 0) throw new Error("there is no name before '='");
  if (name.length > MAX_NAME_LENGTH) {
    throw new Error(`a name has at most ${MAX_NAME_LENGTH} characters`);
  }
  return { name, rest: text.slice(sign + 1) };
}

type Backend = { kind: "user" | "none" } | { kind: "tap"; interface: string };

function parseBackend(text: string): Backend {
  if (text === "user" || text === "none") return { kind: text };
  const interfaceName = /^tap:(.*)$/.exec(text)?.[1];
  if (interfaceName === "") throw new Error("name the interface: tap:IFNAME");
  if (interfaceName !== undefined) return { kind: "tap", interface: interfaceName };
  throw new Error(`there is no network back end "${text}": use user, tap:IFNAME or none`);
}

export function parseGuestMac(text: string): MacAddress {
  const mac = parseMac(text);
  if (mac === undefined) {
    throw new Error(`"${text}" is not a MAC address: write it as 52:54:00:12:34:56`);
  }
  if (isGroupMac(mac) || mac.every((byte) => byte === 0)) {
    throw new Error(
      `${text} cannot be one device's address: its first byte must be even, and not all bytes zero`,
    );
  }
  return mac;
}

/** @throws Error whose message says what is wrong with the argument */
export function parseNet(text: string): NetSpec {
  const [head, ...settings] = splitAtCommas(text);
  const { name, rest } = splitName(head);
  const backend = parseBackend(rest);
  let mac: MacAddress | undefined;
  let nat = false;
  for (const setting of settings) {
    if (setting === "nat" && backend.kind === "user") {
      if (nat) throw new Error("nat is given twice");
      nat = true;
      continue;
    }
    const value = /^mac=(.*)$/.exec(setting)?.[1];
    if (value === undefined) {
      const known = backend.kind === "user" ? "only nat and mac=MAC are" : "only mac=MAC is";
      throw new Error(`"${setting}" is not known here: ${known}`);
    }
    if (mac !== undefined) throw new Error("mac= is given twice");
    mac = parseGuestMac(value);
  }
  return { ...backend, ...(nat && { nat }), name, mac };
}

/** @throws Error whose message says what is wrong with the argument */
export function parseBlock(text: string): BlockSpec {
  const [head, ...settings] = splitAtCommas(text);
  const { name, rest: path } = splitName(head);
  if (path === "") throw new Error("there is no file name");
  for (const setting of settings) {
    if (setting !== "ro") {
      throw new Error(
        `"${setting}" is not known here: only ro is (a comma in a file name is written twice)`,
      );
    }
  }
  if (settings.length > 1) throw new Error("ro is given twice");
  return { name, path, readOnly: settings.length > 0 };
}
