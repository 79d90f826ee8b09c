/** What `objdump` makes of bytes, brought into our words where it only says the same otherwise. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "../../support/temporary.ts";

const MACHINES = { 16: "i8086", 32: "i386", 64: "i386:x86-64" } as const;

/** Instructions by their offset in `bytes`. */
export function objdump(bytes: Uint8Array, codeSize: 16 | 32 | 64): Map<number, string> {
  const file = join(temporaryFolder(), "code");
  writeFileSync(file, bytes);
  const text = execFileSync(
    "objdump",
    [
      ...["-D", "-b", "binary", "-m", MACHINES[codeSize], "-M", "intel"],
      ...["--no-show-raw-insn", "--wide", file],
    ],
    { encoding: "utf8", maxBuffer: 1 << 28 },
  );
  return new Map(
    [...text.matchAll(/^ *([0-9a-f]+):\t(.*)$/gm)].map(([, offset = "", line = ""]) => [
      Number.parseInt(offset, 16),
      line,
    ]),
  );
}

/** Prefixes that have no effect, which we do not mention. */
const IDLE = "(?:data16|data32|addr16|addr32|rex(?:\\.[wrxb]+)?|[cdefgs]s|bnd|notrack)";

const RULES: readonly (readonly [RegExp, string])[] = [
  [/\s*(#|<).*$/, ""],
  [/\s+/g, " "],
  [/, /g, ","],
  [/^(j\w+),p[nt] /, "$1 "],
  [/\brepz\b/, "repe"],
  [/\brepnz\b/, "repne"],
  [new RegExp(`^(?:${IDLE} )+`), ""],
  [new RegExp(`^(lock|repe|repne|rep) (?:${IDLE} )+`), "$1 "],
  [/^((?:j\w+|call|loop\w*) )([0-9a-f]+)$/, "$10x$2"],
  [/\+0x0\]/, "]"],
  // An index register that there is none of.
  [/\+[re]iz\*\d/, ""],
  [/\b[ds]s:(?=\[|0x)/, ""],
  [/ptr ([fg]s:)?(0x[0-9a-f]+)/, "ptr $1[$2]"],
  [/\bmovabs\b/, "mov"],
  [/\boword\b/, "xmmword"],
  // Strings' operands are always the same.
  [/^(.*\b(?:movs|stos|lods|scas|cmps|ins|outs)) .*?\b([bwdq])\w* ptr.*$/, "$1$2"],
  [/^xlat .*/, "xlatb"],
  // Operand sizes, where there are no operands to see them by.
  [
    /^(pushf|popf|pusha|popa|iret|retf|sysret|sysexit|leave|fldenv|fnstenv|frstor|fnsave)[dwq]\b/,
    "$1",
  ],
  [/^(push|pop|enter|call|ret|lgdt|lidt|sgdt|sidt|pcmpestr[im])[dwq]\b/, "$1"],
  [/^((?:[ls][gi]dt|fxsave|fxrstor) )(0x[0-9a-f]+)$/, "$1[$2]"],
];

export function plain(text: string): string {
  let result = text.trim().toLowerCase();
  for (const [pattern, replacement] of RULES) result = result.replace(pattern, replacement);
  return result.replace(/([re]ip)\+0x([0-9a-f]+)/, (_all, ip: string, digits: string) => {
    const offset = BigInt.asIntN(digits.length > 8 ? 64 : 33, BigInt(`0x${digits}`));
    return offset < 0n ? `${ip}-0x${(-offset).toString(16)}` : `${ip}+0x${offset.toString(16)}`;
  });
}
