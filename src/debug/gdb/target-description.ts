/** The target description (GDB manual, appendix G): which registers there are, as XML. */
import { FEATURES, type Feature } from "./registers.ts";

/** Names of bits, by number. */
type FlagBits = Readonly<Record<string, number>>;

const CR0_FLAGS: FlagBits = {
  ...{ PE: 0, MP: 1, EM: 2, TS: 3, ET: 4, NE: 5, WP: 16, AM: 18, NW: 29, CD: 30, PG: 31 },
};
const CR4_FLAGS: FlagBits = {
  ...{ VME: 0, PVI: 1, TSD: 2, DE: 3, PSE: 4, PAE: 5, MCE: 6, PGE: 7, PCE: 8, OSFXSR: 9 },
  ...{ OSXMMEXCPT: 10, UMIP: 11, LA57: 12, VMXE: 13, SMXE: 14, FSGSBASE: 16, PCIDE: 17 },
  ...{ OSXSAVE: 18, SMEP: 20, SMAP: 21, PKE: 22 },
};
const EFER_FLAGS: FlagBits = { SCE: 0, LME: 8, LMA: 10, NXE: 11 };
const EFLAGS: FlagBits = {
  ...{ CF: 0, "": 1, PF: 2, AF: 4, ZF: 6, SF: 7, TF: 8, IF: 9, DF: 10, OF: 11, NT: 14, RF: 16 },
  ...{ VM: 17, AC: 18, VIF: 19, VIP: 20, ID: 21 },
};
const MXCSR_FLAGS: FlagBits = {
  ...{ IE: 0, DE: 1, ZE: 2, OE: 3, UE: 4, PE: 5, DAZ: 6, IM: 7, DM: 8, ZM: 9, OM: 10, UM: 11 },
  ...{ PM: 12, FZ: 15 },
};

const flags = (id: string, bytes: number, bits: FlagBits): string =>
  [
    `<flags id="${id}" size="${bytes}">`,
    ...Object.entries(bits).map(
      ([name, bit]) => `<field name="${name}" start="${bit}" end="${bit}"/>`,
    ),
    "</flags>",
  ].join("");

/** The views of an XMM register: [name, element, count]. */
const VECTORS = [
  ["v4f", "ieee_single", 4],
  ["v2d", "ieee_double", 2],
  ["v16i8", "int8", 16],
  ["v8i16", "int16", 8],
  ["v4i32", "int32", 4],
  ["v2i64", "int64", 2],
] as const;

const VECTOR_UNION = [
  ...VECTORS.map(([id, type, count]) => `<vector id="${id}" type="${type}" count="${count}"/>`),
  '<union id="vec128">',
  ...[
    ["v4_float", "v4f"],
    ["v2_double", "v2d"],
    ["v16_int8", "v16i8"],
    ["v8_int16", "v8i16"],
    ["v4_int32", "v4i32"],
    ["v2_int64", "v2i64"],
    ["uint128", "uint128"],
  ].map(([name, type]) => `<field name="${name}" type="${type}"/>`),
  "</union>",
].join("");

/** Types that the registers of a feature have, besides GDB's own. */
const TYPES: Readonly<Record<string, string>> = {
  "org.gnu.gdb.i386.core": flags("i386_eflags", 4, EFLAGS),
  "org.gnu.gdb.i386.sse": VECTOR_UNION + flags("i386_mxcsr", 4, MXCSR_FLAGS),
  "org.solo5-kvm.system": [
    flags("cr0_flags", 8, CR0_FLAGS),
    flags("cr4_flags", 8, CR4_FLAGS),
    flags("efer_flags", 8, EFER_FLAGS),
  ].join(""),
};

/** Those that `info registers` does not show, but `info registers NAME` or `info all-registers`. */
const GROUPS: Readonly<Record<string, string>> = { "org.solo5-kvm.system": "system" };

function describeFeature({ name, registers }: Feature): string {
  const group = GROUPS[name] === undefined ? "" : ` group="${GROUPS[name]}"`;
  return [
    `<feature name="${name}">`,
    TYPES[name] ?? "",
    ...registers.map(
      (spec) => `<reg name="${spec.name}" bitsize="${spec.bits}" type="${spec.type}"${group}/>`,
    ),
    "</feature>",
  ].join("\n");
}

/**
 * 64-bit whatever the mode: so a session may begin in real mode or in a 32-bit loader, and go on
 * into the kernel.
 */
export const targetDescription = (): string =>
  [
    '<?xml version="1.0"?>',
    '<!DOCTYPE target SYSTEM "gdb-target.dtd">',
    '<target version="1.0">',
    "<architecture>i386:x86-64</architecture>",
    ...FEATURES.map(describeFeature),
    "</target>",
    "",
  ].join("\n");
