/** `g`, `G`, `p`, `P`: registers. */
import { fromHex, parseLength, toHex } from "./hex.ts";
import { draftOf, REGISTERS, readRegister, writeRegister } from "./registers.ts";
import { ERROR, type Handlers, OK } from "./session.ts";

export const REGISTER_HANDLERS: Handlers = {
  g: ({ target }) => {
    const state = target.readState();
    return REGISTERS.map((spec) => toHex(readRegister(spec, state))).join("");
  },

  G: ({ target }, rest) => {
    const bytes = fromHex(rest);
    if (bytes === undefined) return ERROR;
    const draft = draftOf(target.readState());
    let at = 0;
    for (const spec of REGISTERS) {
      const size = spec.bits / 8;
      // A debugger may leave off what it does not know.
      if (at === bytes.length) break;
      if (!writeRegister(spec, draft, bytes.subarray(at, at + size))) return ERROR;
      at += size;
    }
    if (at !== bytes.length) return ERROR;
    target.writeState(draft);
    return OK;
  },

  p: ({ target }, rest) => {
    const spec = REGISTERS[parseLength(rest.split(";")[0]) ?? -1];
    return spec === undefined ? ERROR : toHex(readRegister(spec, target.readState()));
  },

  P: ({ target }, rest) => {
    const [number, value = ""] = rest.split("=");
    const spec = REGISTERS[parseLength(number) ?? -1];
    const bytes = fromHex(value.split(";")[0] ?? "");
    if (spec === undefined || bytes === undefined) return ERROR;
    const draft = draftOf(target.readState());
    if (!writeRegister(spec, draft, bytes)) return ERROR;
    target.writeState(draft);
    return OK;
  },
};
