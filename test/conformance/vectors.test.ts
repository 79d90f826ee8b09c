import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { interpreterModule } from "../../fallback/index.ts";
import { compare } from "./compare.ts";
import { Fallback } from "./fallback.ts";
import { decodeVectors } from "./vectors.ts";

const folder = join(import.meta.dirname, "vectors");
const files = readdirSync(folder).filter((name) => name.endsWith(".bin"));
const interpreters = [
  { name: "the interpreter of a start", inline: false, by: "interpreter" },
  { name: "the interpreter for long runs", inline: true, by: "interpreter" },
  { name: "the JIT", inline: false, by: "jit" },
] as const;

describe.each(interpreters)("$name", ({ inline, by }) => {
  const cpu = new Fallback(() => interpreterModule(inline), by);

  test.each(files)(
    "agrees with the processor that recorded %s",
    (file) => {
      const failures = decodeVectors(readFileSync(join(folder, file))).flatMap((vector) => {
        const differences = compare(vector.result, cpu.run(vector.snippet), vector.undefinedParts);
        if (differences.length === 0) return [];
        const code = Buffer.from(vector.snippet.code).toString("hex");
        return [
          `${vector.name}, ${vector.snippet.mode}-bit ${code}: ${differences.map((d) => d.what)}`,
        ];
      });
      expect(failures).toEqual([]);
    },
    180_000,
  );
});
