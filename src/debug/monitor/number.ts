import { UsageError } from "./monitor.ts";

/** `0x1f`, `1fh` is none; decimal digits are decimal. @throws UsageError */
export function parseAddress(word: string | undefined, usage: string): bigint {
  if (word !== undefined && /^(0x[0-9a-f]{1,16}|\d{1,20})$/i.test(word)) {
    return BigInt.asUintN(64, BigInt(word));
  }
  throw new UsageError(`usage: monitor ${usage}`);
}
