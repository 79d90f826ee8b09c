import { RegisterBytes } from "../../core/register-bytes.ts";

/** Ports 0x80 to 0x8f. */
const LENGTH = 16;

/**
 * The AT's DMA page registers: sixteen bytes of memory, of which seven give the DMA controllers the
 * upper part of addresses. The first shows how far the power-on test has come, and takes writes
 * whose purpose is that they take a while.
 */
export function pageRegisters(): RegisterBytes {
  const registers = new RegisterBytes(LENGTH);
  for (let at = 0; at < LENGTH; at++) registers.define(at, 1, 0, 0xff);
  return registers;
}
