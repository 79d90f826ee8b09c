import { describe, expect, it } from "vitest";
import { parseTrace } from "../../../src/debug/trace/trace-spec.ts";

describe("what is to be traced", () => {
  it("is kinds, with ranges and a file", () => {
    const spec = parseTrace("port=3f8-3ff,port=0x70,irq=4,cpu=main,exit:a,b:c");
    expect([...spec.kinds]).toEqual(["port", "irq", "cpu", "exit"]);
    expect(spec.ranges.get("port")).toEqual([
      { first: 0x3f8, last: 0x3ff },
      { first: 0x70, last: 0x70 },
    ]);
    expect(spec.ranges.get("irq")).toEqual([{ first: 4, last: 4 }]);
    expect(spec.functions).toEqual(["main"]);
    expect(spec.file).toBe("a,b:c");
    expect(parseTrace("net").file).toBe(undefined);
  });

  it.each([
    ["", /"" is none of the kinds exit, port,/],
    ["ports", /"ports" is none of the kinds/],
    ["port=xyz", /"xyz" is not a range/],
    ["port=9-1", /"9-1" is not a range/],
    ["irq=f", /"f" is not a range/],
    ["net=5", /net has no filter/],
    ["cpu=", /cpu has no filter/],
    ["port:", /no file after the colon/],
  ])("refuses %s", (text, message) => expect(() => parseTrace(text)).toThrow(message));
});
