/** `Z` and `z`: breakpoints and watchpoints. */
import { parseLength, parseNumber } from "./hex.ts";
import { ERROR, type Handlers, OK, UNSUPPORTED } from "./session.ts";

/** `TYPE,ADDRESS,KIND`, and conditions and commands, which are not supported. */
function parse(rest: string) {
  const [type, address, kind] = (rest.split(";")[0] ?? "").split(",");
  const fields = {
    type: parseLength(type),
    address: parseNumber(address),
    kind: parseLength(kind),
  };
  const { type: number, address: at, kind: length } = fields;
  if (number === undefined || at === undefined || length === undefined) return undefined;
  return { type: number, address: at, length };
}

export const BREAKPOINT_HANDLERS: Handlers = {
  Z: ({ breakpoints }, rest) => {
    const point = parse(rest);
    if (point === undefined) return ERROR;
    const result = breakpoints.insert(point.type, point.address, point.length);
    if (result === "unknown") return UNSUPPORTED;
    return result === "done" ? OK : ERROR;
  },

  z: ({ breakpoints }, rest) => {
    const point = parse(rest);
    if (point === undefined) return ERROR;
    return breakpoints.remove(point.type, point.address, point.length) ? OK : UNSUPPORTED;
  },
};
