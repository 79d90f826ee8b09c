import { GENERAL_REGISTERS } from "../../src/core/cpu.ts";
import { hex } from "../../src/core/units.ts";
import { plainState } from "./backgrounds.ts";
import { type Difference, describeBytes, describeFlags } from "./compare.ts";
import type { CpuState } from "./cpu-state.ts";
import { DATA } from "./environment.ts";
import type { GeneratedTest } from "./generate.ts";

/** What of a state is not as in the plain one, a line each. */
function describeState(state: CpuState): string[] {
  const plain = plainState();
  const lines: string[] = [];
  const show = (what: string, value: (s: CpuState) => string): void => {
    if (value(state) !== value(plain)) lines.push(`${what} ${value(state)}`);
  };
  GENERAL_REGISTERS.forEach((name, register) => {
    show(name, (s) => hex(s.gpr(register)));
  });
  show("rflags", (s) => describeFlags(s.rflags));
  show("fs base", (s) => hex(s.fsBase));
  show("gs base", (s) => hex(s.gsBase));
  show("x87 control", (s) => hex(s.controlWord, 4));
  show("x87 status", (s) => hex(s.statusWord, 4));
  show("x87 tags", (s) => hex(s.tagWord, 2));
  for (let n = 0; n < 8; n++) show(`st${n}`, (s) => describeBytes(s.st(n)));
  for (let n = 0; n < 16; n++) show(`xmm${n}`, (s) => describeBytes(s.xmm(n)));
  for (let n = 0; n < 16; n++) show(`ymm${n} above`, (s) => describeBytes(s.ymmUpper(n)));
  show("mxcsr", (s) => hex(s.mxcsr, 4));
  const LINE = 16;
  for (let at = 0; at < state.data.length; at += LINE) {
    show(`[${hex(DATA + at)}]`, (s) => Buffer.from(s.data.subarray(at, at + LINE)).toString("hex"));
  }
  return lines;
}

/** A failure for people: the instruction, where it started, and both outcomes side by side. */
export function describeFailure(
  test: GeneratedTest,
  names: readonly [judge: string, suspect: string],
  differences: readonly Difference[],
): string {
  const { mode, code, state } = test.snippet;
  const bytes = Buffer.from(code)
    .toString("hex")
    .replace(/..(?=.)/g, "$& ");
  const width = Math.max(...names.map((name) => name.length));
  return [
    `${test.form.name}, ${mode}-bit: ${bytes}`,
    ...describeState(state).map((line) => `    ${line}`),
    ...differences.flatMap(({ what, expected, actual }) => [
      `  ${what}`,
      `    ${names[0].padEnd(width)} ${expected}`,
      `    ${names[1].padEnd(width)} ${actual}`,
    ]),
  ].join("\n");
}
