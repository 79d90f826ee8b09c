import { expect, test } from "vitest";
import { frequentVariants, labelOf } from "../../../fallback/interpreter/frequent.ts";
import { HandlerTable } from "../../../fallback/interpreter/handlers.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";

test("each frequent variant is one that the table has, and they come first", () => {
  const table = new HandlerTable(new OpcodeMap(FAMILIES).forms, true);
  const labels = table.variants.slice(0, table.inlineCount).map(labelOf);
  expect(new Set(labels)).toEqual(frequentVariants());
  expect(labels).toHaveLength(new Set(labels).size);
});
