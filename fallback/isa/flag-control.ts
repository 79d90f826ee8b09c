/** Single flags, and AH as an image of them (Intel SDM vol. 1 §7.3.13). */
import { RFLAGS } from "../bits.ts";
import { i32, i64 } from "../wasm/expression.ts";
import type { Family } from "./instruction.ts";

const RAX = 0;
/** Bits of RFLAGS's low byte that are flags; bit 1 is always set. */
const LOW_FLAGS = 0xd5;
const ALWAYS_ONE = 0x02;
const OVERFLOW = 0x800;

export const flagControl: Family = [
  {
    name: "CLC",
    forms: ["F8"],
    flags: { written: "C" },
    meaning: (e) => e.flags.carryOnly(i32.const(0)),
  },
  {
    name: "STC",
    forms: ["F9"],
    flags: { written: "C" },
    meaning: (e) => e.flags.carryOnly(i32.const(1)),
  },
  {
    name: "CMC",
    forms: ["F5"],
    flags: { read: "C", written: "C" },
    meaning: (e) => e.flags.carryOnly(i32.eqz(e.flags.get("C"))),
  },
  {
    name: "CLD",
    forms: ["FC"],
    meaning: (e) => e.setSystemFlags(i32.and(e.systemFlags(), i32.const(~RFLAGS.DF))),
  },
  {
    name: "STD",
    forms: ["FD"],
    meaning: (e) => e.setSystemFlags(i32.or(e.systemFlags(), i32.const(RFLAGS.DF))),
  },
  {
    name: "LAHF",
    forms: ["9F"],
    flags: { read: "SZAPC" },
    meaning(e) {
      const low = i32.or(i32.and(e.flags.image(), i32.const(0xff)), i32.const(ALWAYS_ONE));
      const byte = i64.shl(i64.extendU(low), i64.const(8));
      const others = i64.and(e.getRegister(RAX, 16), i64.const(0xff));
      e.setRegister(RAX, 16, i64.or(others, byte));
    },
  },
  {
    name: "SAHF",
    forms: ["9E"],
    flags: { written: "SZAPC" },
    meaning(e) {
      const ah = i32.wrap(i64.shrU(e.getRegister(RAX, 16), i64.const(8)));
      const overflow = e.let(i32.and(e.flags.image(), i32.const(OVERFLOW)));
      e.flags.fromImage(e.let(i32.or(i32.and(ah, i32.const(LOW_FLAGS)), overflow)));
    },
  },
];
