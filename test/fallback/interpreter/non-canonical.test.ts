import { describe, expect, test } from "vitest";
import { plainState } from "../../conformance/backgrounds.ts";
import { DATA } from "../../conformance/environment.ts";
import { Fallback } from "../../conformance/fallback.ts";

const [RBX, RSP] = [3, 4];
const NOWHERE = 0x8000_0000_0000_0000n;
const SOMEWHERE = BigInt(DATA + 0x800);
const STACK_FAULT = { vector: 12, errorCode: 0 };
const GENERAL_PROTECTION = { vector: 13, errorCode: 0 };

/** With RBX as the operand's address. */
const INSTRUCTIONS = [
  ["push [rbx]", [0xff, 0x33]],
  ["call [rbx]", [0xff, 0x13]],
] as const;

describe.each(["interpreter", "jit"] as const)(
  "addresses that are not canonical, by the %s",
  (by) => {
    const cpu = new Fallback(undefined, by);
    const faultOf = (code: readonly number[], operand: bigint, stack: bigint) => {
      const state = plainState();
      state.setGpr(RBX, operand);
      state.setGpr(RSP, stack);
      return cpu.run({ mode: 64, code: Uint8Array.from(code), state }).fault;
    };

    test.each(INSTRUCTIONS)("are the operand's or the stack's: %s", (_, code) => {
      expect(faultOf(code, NOWHERE, SOMEWHERE)).toEqual(GENERAL_PROTECTION);
      expect(faultOf(code, SOMEWHERE, NOWHERE)).toEqual(STACK_FAULT);
      expect(faultOf(code, NOWHERE, NOWHERE)).toEqual(GENERAL_PROTECTION);
    });

    test("are the stack's where RBP or RSP is the base", () => {
      // add [rsp], eax; push rax
      expect(faultOf([0x01, 0x04, 0x24], SOMEWHERE, NOWHERE)).toEqual(STACK_FAULT);
      expect(faultOf([0x50], SOMEWHERE, NOWHERE)).toEqual(STACK_FAULT);
      // add [rbx], eax
      expect(faultOf([0x01, 0x03], NOWHERE, SOMEWHERE)).toEqual(GENERAL_PROTECTION);
    });
  },
);
