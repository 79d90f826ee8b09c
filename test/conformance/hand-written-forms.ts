import type { Family } from "../../fallback/isa/instruction.ts";

/**
 * A few forms of every kind, in the notation of `fallback/isa/instruction.ts`: what the harness
 * itself is tested with, whatever the processor's own table holds.
 */
export const HAND_WRITTEN: Family = [
  {
    name: "ADD",
    forms: ["00 Eb,Gb", "01 Ev,Gv", "02 Gb,Eb", "03 Gv,Ev", "04 AL,Ib", "05 rAX,Iz", "83/0 Ev,Ibs"],
    flags: { written: "OSZAPC" },
    lock: true,
  },
  {
    name: "ADC",
    forms: ["11 Ev,Gv", "81/2 Ev,Iz"],
    flags: { read: "C", written: "OSZAPC" },
    lock: true,
  },
  { name: "SHL", forms: ["C0/4 Eb,Ib", "C1/4 Ev,Ib", "D1/4 Ev,1", "D3/4 Ev,CL"] },
  { name: "RCR", forms: ["D2/3 Eb,CL", "C1/3 Ev,Ib"] },
  { name: "SHLD", forms: ["0F A4 Ev,Gv,Ib", "0F A5 Ev,Gv,CL"] },
  { name: "MUL", forms: ["F6/4 Eb", "F7/4 Ev"], flags: { written: "OC", undefined: "SZAP" } },
  { name: "DIV", forms: ["F6/6 Eb", "F7/6 Ev"], flags: { undefined: "OSZAPC" } },
  {
    name: "CMPXCHG",
    forms: ["0F B0 Eb,Gb", "0F B1 Ev,Gv"],
    flags: { written: "OSZAPC" },
    lock: true,
  },
  { name: "BTS", forms: ["0F AB Ev,Gv"], flags: { written: "C", undefined: "OSAP" }, lock: true },
  { name: "PUSH", forms: ["50 Zv d64", "FF/6 Ev d64", "6A Ibs d64"], stack: true },
  { name: "RET", forms: ["C3 f64", "C2 Iw f64"], stack: true, ends: true },
  { name: "JMP", forms: ["EB Jb f64", "E9 Jz f64", "FF/4 Ev f64"], ends: true },
  { name: "MOVSB", forms: ["A4"], repeat: true },
  { name: "CMPSB", forms: ["A6"], repeat: true, flags: { written: "OSZAPC" } },
  { name: "MOVAPS", forms: ["NP 0F 28 Vps,Wps", "NP 0F 29 Wps,Vps"] },
  { name: "PSHUFB", forms: ["66 0F 38 00 Vx,Wx", "NP 0F 38 00 Pq,Qq"] },
  { name: "DIVPS", forms: ["NP 0F 5E Vps,Wps"] },
  { name: "ADDSD", forms: ["F2 0F 58 Vsd,Wsd"] },
  { name: "VMOVDQA", forms: ["VEX.0 66 0F 6F Vx,Wx", "VEX.1 66 0F 7F Wx,Vx"] },
  { name: "VPSHUFB", forms: ["VEX.0 66 0F 38 00 Vx,Hx,Wx", "VEX.1 66 0F 38 00 Vx,Hx,Wx"] },
  { name: "VADDSD", forms: ["VEX F2 0F 58 Vsd,Hsd,Wsd"] },
  { name: "VBLENDVPD", forms: ["VEX.1 66 0F 3A 4B Vx,Hx,Wx,Lx noW"] },
  { name: "VPGATHERDD", forms: ["VEX.1 66 0F 38 90 Vx,Md,Hx noW"] },
  { name: "VZEROUPPER", unit: "avx", forms: ["VEX.0 NP 0F 77"] },
  {
    name: "ANDN",
    forms: ["VEX.0 NP 0F 38 F2 Gy,By,Ey"],
    flags: { written: "OSZC", undefined: "AP" },
  },
  { name: "RORX", forms: ["VEX.0 F2 0F 3A F0 Gy,Ey,Ib"] },
  { name: "RCPPS", forms: ["NP 0F 53 Vps,Wps"] },
  { name: "FADD", forms: ["D8/0 Md", "DC/0 Mq", "D8/0 reg", "DC/0 reg"] },
  { name: "FST", forms: ["D9/2 Md", "DD/2 Mq"] },
  { name: "FSTP", forms: ["DB/7 Mt"] },
  { name: "CLI", forms: ["FA"], cpl: 0 },
];
