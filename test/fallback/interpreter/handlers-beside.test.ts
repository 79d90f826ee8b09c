/** Handlers of what is a translation by variant. */
import { expect, it } from "vitest";
import { interpreterModule } from "../../../fallback/index.ts";
import { Decoder } from "../../../fallback/interpreter/decoder.ts";
import { microIndex } from "../../../fallback/interpreter/handlers.ts";
import { HandlersBeside } from "../../../fallback/interpreter/handlers-beside.ts";
import { layDownTables, section } from "../../../fallback/interpreter/sections.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";
import { variantsOf } from "../../../fallback/isa/variant.ts";
import { RAM_BASE } from "../../../fallback/state.ts";

const map = new OpcodeMap(FAMILIES);
const memory = new WebAssembly.Memory({ initial: (RAM_BASE + 65536) / 65536 });
const module = new WebAssembly.Module(interpreterModule(false));
const nothing = (): number => 0;
const beside = new HandlersBeside(
  (name) => new Uint8Array(section(module, name)),
  {
    ...{ memory, load: nothing, store: nothing, procedure: nothing },
    ...{ checkSegment: nothing, touch: nothing },
  },
  false,
);

it("are there for each variant", () => {
  const forms = map.forms.filter(({ instruction }) => instruction.byVariant !== undefined);
  expect(forms.length).toBeGreaterThan(80);
  for (const form of forms) {
    for (const { variant } of variantsOf(form)) {
      expect(beside.get(variant, form).handler, form.text).toBeTypeOf("function");
    }
  }
});

it.each<[string, number[], number[]]>([
  ["FADD and FADD the other way", [0xd8, 0xc1], [0xdc, 0xc1]],
  ["FLD of 32 and of 64 bits", [0xd9, 0x00], [0xdd, 0x00]],
  ["MOVS of bytes and of words", [0xa4], [0xa5]],
  ["MOVS of 32 and of 64 bits", [0xa5], [0x48, 0xa5]],
])("are not the same for %s", (_, one, other) => {
  const handlers = layDownTables(module, memory.buffer);
  handlers.onLate = () => undefined;
  const decoder = new Decoder(map);
  const [a, b] = [one, other].map((bytes) =>
    handlers.index(decoder.decode(Uint8Array.from(bytes), 64), true),
  );
  expect(a).not.toBe(b);
  expect([a, b]).not.toContain(microIndex("procedure"));
});
