import { expect, it } from "vitest";
import { COMMON_FAMILIES } from "../../../fallback/isa/common.ts";
import { FormIndex, serialiseForms } from "../../../fallback/isa/form-index.ts";
import { LATE_FAMILIES } from "../../../fallback/isa/late.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { RARE_FAMILIES } from "../../../fallback/isa/rare.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";

it("parsing the table as it is needed gives the same forms as parsing all of it", () => {
  const whole = new OpcodeMap(FAMILIES);
  const section = serialiseForms(whole.forms).buffer as ArrayBuffer;
  const others = [() => RARE_FAMILIES, () => LATE_FAMILIES];
  const byNeed = new OpcodeMap(new FormIndex(section, COMMON_FAMILIES, ...others));
  expect(whole.forms.length).toBeGreaterThan(900);
  expect(byNeed.forms).toEqual(whole.forms);
  expect(whole.forms.every(({ ordinal }, n) => ordinal === n)).toBe(true);
});

it("a form with more conditions comes before one with fewer", () => {
  const map = new OpcodeMap(FAMILIES);
  const NOP = 0x90;
  const [none, rexB, f3] = [0, 0x41, 2];
  const names = [map.find(NOP, none, true, 0, -1), map.find(NOP, none, true, rexB, -1)]
    .concat(map.find(NOP, f3, true, 0, -1))
    .map((form) => form?.instruction.name);
  expect(names).toEqual(["NOP", "XCHG", "PAUSE"]);
});
