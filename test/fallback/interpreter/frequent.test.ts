import { expect, test } from "vitest";
import {
  frequentLateVariants,
  frequentVariants,
  labelOf,
} from "../../../fallback/interpreter/frequent.ts";
import { HandlerTable } from "../../../fallback/interpreter/handlers.ts";
import { OpcodeMap } from "../../../fallback/isa/opcode-map.ts";
import { FAMILIES } from "../../../fallback/isa/table.ts";

test("each frequent variant is one that the table has, and they come first", () => {
  const table = new HandlerTable(new OpcodeMap(FAMILIES).forms, true);
  const labels = table.variants.slice(0, table.inlineCount).map(labelOf);
  expect(new Set(labels)).toEqual(frequentVariants());
  expect(labels).toHaveLength(new Set(labels).size);
});

test("so is each that has a handler though its instruction is late, and none of these is inline", () => {
  const table = new HandlerTable(new OpcodeMap(FAMILIES).forms, true);
  const late = table.variants.filter(({ instruction }) => instruction.late === true);
  expect(new Set(late.map(labelOf))).toEqual(frequentLateVariants());
  const inline = table.variants.slice(0, table.inlineCount);
  expect(late.filter((variant) => inline.includes(variant))).toEqual([]);
});
