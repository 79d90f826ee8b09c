import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { type CodeSize, Disassembler } from "../../../fallback/disassembler/disassembler.ts";
import type { Form } from "../../../fallback/isa/form.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import { parseElf, readSections } from "../../../src/boot/elf.ts";
import { SeededRandom } from "../../support/random.ts";
import { missing } from "../../support/requirements.ts";
import { randomVexPrefix } from "../../support/vex-prefix.ts";
import { objdump, plain } from "./objdump.ts";

const map = new OpcodeMap(FAMILIES);
const disassembler = new Disassembler(map);

/** @param hex of the bytes */
const line = (hex: string, codeSize: CodeSize = 64, address = 0x1000n, symbol?: string): string =>
  disassembler.line(Uint8Array.from(Buffer.from(hex.replaceAll(" ", ""), "hex")), {
    address,
    codeSize,
    ...(symbol === undefined
      ? {}
      : { symbolAt: (at) => `${symbol}+0x${(at & 0xfn).toString(16)}` }),
  }).text;

describe("an instruction as text", () => {
  it.each([
    ["48 89 e5", "mov rbp, rsp"],
    ["88 e0", "mov al, ah"],
    ["40 88 e0", "mov al, spl"],
    ["f0 48 0f c1 03", "lock xadd qword ptr [rbx], rax"],
    ["64 8b 04 25 10 00 00 00", "mov eax, dword ptr fs:[0x10]"],
    ["48 83 ec 08", "sub rsp, 0x8"],
    ["48 83 c4 80", "add rsp, 0xffffffffffffff80"],
    ["42 0f b6 44 a8 fe", "movzx eax, byte ptr [rax+r13*4-0x2]"],
    ["f3 48 a5", "rep movsq"],
    ["f2 ae", "repne scasb"],
    ["48 98", "cdqe"],
    ["0f 01 3b", "invlpg [rbx]"],
    ["0f 22 d8", "mov cr3, rax"],
    ["f3 0f 1e fa", "endbr64"],
    ["d8 c3", "fadd st, st(3)"],
    ["dd d9", "fstp st(1)"],
    ["db 2f", "fld tbyte ptr [rdi]"],
    ["66 0f 57 c1", "xorpd xmm0, xmm1"],
    ["66 48 0f 6e c0", "movq xmm0, rax"],
    ["0f c7 c8", "(bad)"],
    ["c5 f8 58 c0", "vaddps xmm0, xmm0, xmm0"],
    ["c4 e3 75 4c c2 30", "vpblendvb ymm0, ymm1, ymm2, ymm3"],
    ["c4 e1 f9 6e c0", "vmovq xmm0, rax"],
    ["c4 e2 6d 90 04 60", "vpgatherdd ymm0, dword ptr [rax+ymm4*2], ymm2"],
    ["c4 e2 ed 90 44 88 10", "vpgatherdq ymm0, qword ptr [rax+xmm1*4+0x10], ymm2"],
    ["c4 e2 78 f3 c9", "blsr eax, ecx"],
    ["62 f1 7c 48 58 c0", "(bad)"],
    ["48", "(bad)"],
  ])("%s is %s", (hex, text) => expect(line(hex)).toBe(text));

  it("shows where branches go, and what is relative to RIP", () => {
    expect(line("e8 fb 0f 00 00")).toBe("call 0x2000");
    expect(line("e8 fb 0f 00 00", 64, 0x1000n, "f")).toBe("call 0x2000 <f+0x0>");
    expect(line("48 8b 05 f9 0f 00 00")).toBe("mov rax, qword ptr [rip+0xff9] <0x2000>");
    expect(line("48 8b 05 fa 0f 00 00", 64, 0x1000n, "v")).toBe(
      "mov rax, qword ptr [rip+0xffa] <v+0x1>",
    );
  });

  it("depends on the mode", () => {
    expect(line("40", 32)).toBe("inc eax");
    expect(line("ea 00 10 00 00 08 00", 32)).toBe("jmp 0x8:0x1000");
    expect(line("8b 40 10", 16)).toBe("mov ax, word ptr [bx+si+0x10]");
    expect(line("eb fe", 16, 0x0n)).toBe("jmp 0x0");
  });
});

/**
 * Where objdump says something else, and why we do not follow. By the name in the table of
 * instructions, and what objdump says.
 */
const DIFFERENCES: readonly (readonly [name: RegExp, theirs: RegExp])[] = [
  // A REX prefix that another prefix follows: objdump shows it as an instruction.
  [/./, /^(lock )?(rex(\.\w+)?|)$/],
  // Undocumented, or from processors before the 387: it knows no names for them.
  [/^(FSTP|FSTPNCE|FXCH|FCOM|FCOMP|FICOM|FIST|FISTP|FISTTP|SALC)$/, /\(bad\)/],
  [/^FN(ENI|DISI|SETPM)$/, /only\)$/],
  // Fences with another ModRM.rm than assemblers give them; processors do not look at it.
  [/^(MFENCE|SFENCE|LFENCE|CLFLUSH)$/, /\(bad\)/],
  [/^WBINVD$/, /\(bad\)/],
  // Names of comparison predicates.
  [/^V?CMP[PS][SD]$/, /^v?cmp(eq|lt|le|unord|neq|nlt|nle|ord|nge|ngt|false|ge|gt|true)/],
  // Names of the halves that an immediate chooses.
  [/PCLMULQDQ$/, /^v?pclmul[lh]q[lh]qdq/],
  // Without SIB, or of equal registers: these raise #UD when they are executed.
  [/^VP?GATHER/, /\(bad\)/],
  // Scalars whatever VEX.L is.
  [/^VMOVS[SD]$/, /^vmovs[sd] ymm/],
  // Hints that we take for the NOP that they are here.
  [
    /^NOP$/,
    /^(xchg ax,ax|bnd|cldemote|prefetchit|prefetchwt1|prefetchw? \(bad\)|nop\/reserved|xchg)/,
  ],
  [/^XCHG$/, /^xchg (ax,ax|eax,eax)$/],
  // Widths of operands: ours are those that are read and written.
  [/^(LAR|LSL|MOVSXD|ARPL|MOV to segment|V?(MOVMSKP[SD]|PMOVMSKB|LDDQU)|INVLPG|BOUND)$/, /./],
  [/^(JMP far|CALL far|LSS|LFS|LGS)$/, /[fd]word/],
  [/^MOV$/, /0x[0-9a-f]+(,|$)/],
  // An address alone, of a width that there is no word for.
  [/./, /^(?!j|call|loop).*[ ,:]0x[0-9a-f]+$/],
  // An address without a base, but with an index of none.
  [/./, /\[?[re]iz\*/],
];

const isKnown = (form: Form, theirs: string): boolean =>
  DIFFERENCES.some(([name, text]) => name.test(form.instruction.name) && text.test(theirs));

const ESCAPES: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];

/** Random bytes that begin with an encoding of the form, prefixes included. */
function encode(form: Form, codeSize: CodeSize, random: SeededRandom): number[] {
  const bytes: number[] = [];
  const branch = form.traits.has("f64");
  if (form.map >= 4) {
    const modRm = random.below(256) | (form.traits.has("reg") ? 0xc0 : 0);
    bytes.push(...randomVexPrefix(form, codeSize === 64, random), form.opcode);
    bytes.push(form.digit === undefined ? modRm : (modRm & 0xc7) | (form.digit << 3));
    return [...bytes, ...Array.from({ length: 16 }, () => random.below(256))];
  }
  if (form.prefix !== undefined && form.prefix !== "NP")
    bytes.push(Number.parseInt(form.prefix, 16));
  if (form.prefix === undefined && !branch && random.chance(15)) bytes.push(0x66);
  if (!branch && random.chance(8)) bytes.push(0x67);
  if (form.hasModRm && random.chance(8)) bytes.push(random.pick([0x64, 0x65]));
  if (form.instruction.lock === true && random.chance(12)) bytes.push(0xf0);
  if (form.instruction.repeat === true && random.chance(50)) bytes.push(random.pick([0xf2, 0xf3]));
  if (codeSize === 64 && random.chance(50)) bytes.push(0x40 | random.below(16));
  bytes.push(...(ESCAPES[form.map] ?? []), form.opcode);
  if (form.modRm !== undefined) bytes.push(form.modRm);
  else if (form.hasModRm) {
    const modRm = random.below(256) | (form.traits.has("reg") ? 0xc0 : 0);
    bytes.push(form.digit === undefined ? modRm : (modRm & 0xc7) | (form.digit << 3));
  }
  for (let i = 0; i < 16; i++) {
    bytes.push(random.chance(30) ? random.pick([0, 0x7f, 0x80, 0xff]) : random.below(256));
  }
  return bytes;
}

/** Room for an instruction and NOPs, after which objdump is in step again. */
const SLOT = 32;
const NOP = 0x90;

describe.skipIf(missing("objdump"))("compared with objdump", () => {
  it.each<[CodeSize]>([[64], [32], [16]])("random encodings of every form, %i bits", (codeSize) => {
    const random = new SeededRandom(4 * codeSize);
    const cases: { form: Form; bytes: Uint8Array; text: string }[] = [];
    for (const form of map.forms) {
      for (let i = 0; i < 8; i++) {
        const bytes = Uint8Array.from(encode(form, codeSize, random));
        const options = { address: BigInt(cases.length * SLOT), codeSize };
        const found = disassembler.decode(bytes, codeSize);
        if (found === undefined) continue;
        const { text, length } = disassembler.line(bytes, options);
        cases.push({ form: found.form, bytes: bytes.subarray(0, length), text });
      }
    }
    expect(cases.length).toBeGreaterThan(5_000);
    const code = new Uint8Array(cases.length * SLOT).fill(NOP);
    for (const [i, { bytes }] of cases.entries()) code.set(bytes, i * SLOT);
    const theirs = objdump(code, codeSize);
    const differences = cases.flatMap(({ form, bytes, text }, i) => {
      const other = plain(theirs.get(i * SLOT) ?? "");
      // Addresses beyond 64 KiB: IP is cut to 16 bits, objdump's is not.
      const ours = plain(text);
      const same = ours === other || (codeSize === 16 && lowWord(ours) === lowWord(other));
      if (same || isKnown(form, other)) return [];
      return [`${form.text} ${Buffer.from(bytes).toString("hex")}: ${ours} | ${other}`];
    });
    expect(differences).toEqual([]);
  });

  it("a whole kernel", () => {
    const file = join(import.meta.dirname, "../../../kernel/build/apps/ping.elf");
    const source = new MemorySource(readFileSync(file));
    const text = readSections(source, parseElf(source)).find(({ name }) => name === ".text");
    if (text === undefined) throw new Error("no .text");
    const options = ["-d", "-M", "intel", "--no-show-raw-insn", "--wide"];
    const listing = execFileSync("objdump", [...options, file], { encoding: "utf8" });
    let count = 0;
    for (const [, at = "", theirs = ""] of listing.matchAll(/^ *([0-9a-f]+):\t(.*)$/gm)) {
      const address = BigInt(`0x${at}`);
      const offset = text.offset + Number(address - text.address);
      const bytes = source.read(offset, Math.min(15, source.size - offset));
      const ours = disassembler.line(bytes, { address, codeSize: 64 }).text;
      const form = disassembler.decode(bytes, 64)?.form;
      if (form === undefined || !isKnown(form, plain(theirs))) {
        expect(plain(ours), at).toBe(plain(theirs));
      }
      count++;
    }
    expect(count).toBeGreaterThan(5_000);
  });
});

const lowWord = (text: string): string =>
  text.replace(/^(j\w+|call|loop\w*) 0x[0-9a-f]*?([0-9a-f]{1,4})$/, (_all, name, digits) => {
    return `${name} ${Number.parseInt(digits, 16)}`;
  });
