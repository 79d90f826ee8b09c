/** Which instructions the host's processor, which judges, does not have. */
import { readFileSync } from "node:fs";
import type { Form } from "../../fallback/isa/form.ts";
import type { TestForm } from "./forms.ts";

let features: ReadonlySet<string> | undefined;

/** @param feature as Linux calls it */
export function judgeHas(feature: string): boolean {
  features ??= readFeatures();
  return features.has(feature);
}

function readFeatures(): ReadonlySet<string> {
  try {
    const [, flags = ""] = /^flags\s*:(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8")) ?? [];
    return new Set(flags.trim().split(/\s+/));
  } catch {
    return new Set();
  }
}

/** What instructions need that not every processor has, by their names. */
const NEEDS: readonly (readonly [RegExp, string])[] = [
  [/^V?AES/, "aes"],
  [/^V?PCLMUL/, "pclmulqdq"],
  [/^SHA\d/, "sha_ni"],
  [/^AD[CO]X$/, "adx"],
  [/^(RD|WR)[FG]SBASE$/, "fsgsbase"],
  [/^LZCNT$/, "abm"],
  [/^TZCNT$/, "bmi1"],
  [/^MOVBE$/, "movbe"],
  [/^CLFLUSHOPT$/, "clflushopt"],
  [/^CLWB$/, "clwb"],
  [/^(XSAVE|XRSTOR)/, "avx"],
  [/^XSAVEOPT$/, "xsaveopt"],
  [/^XSAVEC$|^XRSTOR$/, "xsavec"],
  [/^VFN?M/, "fma"],
  [/^VCVT(PH2PS|PS2PH)$/, "f16c"],
];

function needsOf({ instruction, map, unit, vexL }: Form): string[] {
  const { name } = instruction;
  const needs = NEEDS.filter(([pattern]) => pattern.test(name)).map(([, feature]) => feature);
  if (map < 4) return needs;
  if (unit !== "avx") return [...needs, "bmi1", "bmi2"];
  if (vexL === 1 && /^V(AES|PCLMUL)/.test(name)) needs.push("vaes", "vpclmulqdq");
  return [...needs, "avx", "avx2"];
}

/**
 * The forms of instructions that the judge's processor has.
 * @param onMissing hears of what it has not, and how many forms that costs
 */
export function judgedForms(
  forms: readonly TestForm[],
  onMissing: (feature: string, forms: number) => void,
): TestForm[] {
  const missing = new Map<string, number>();
  const judged = forms.filter(({ form }) => {
    const lacks = needsOf(form).filter((feature) => !judgeHas(feature));
    for (const feature of lacks) missing.set(feature, (missing.get(feature) ?? 0) + 1);
    return lacks.length === 0;
  });
  for (const [feature, count] of missing) onMissing(feature, count);
  return judged;
}
