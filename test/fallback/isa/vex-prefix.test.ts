import { describe, expect, it } from "vitest";
import { run } from "./snippets.ts";

const INVALID_OPCODE = 6;

/** In 32-bit code. @returns the vector that it raises */
const raised = (code: string): number | undefined => run(code, undefined, 32).fault?.vector;

describe("bit 3 of VEX.vvvv in 32-bit code", () => {
  it("is ignored where a register is named", () => {
    expect(raised("c4 e1 38 58 c1")).toBeUndefined(); // vaddps xmm0, xmm0, xmm1
  });

  it("is not where none is", () => {
    expect(raised("c4 e1 78 10 c1")).toBeUndefined(); // vmovups xmm0, xmm1
    expect(raised("c4 e1 38 10 c1")).toBe(INVALID_OPCODE);
  });
});
