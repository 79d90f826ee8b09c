import type { ApicMessage } from "./apic-message.ts";

/** Writes to these addresses are messages to local APICs (Intel SDM vol. 3A, "Message Address"). */
const ADDRESS_BASE = 0xfee0_0000;
const ADDRESS_MASK = 0xfff0_0000;
const DESTINATION_SHIFT = 12;
const DESTINATION_LOGICAL = 1 << 2;

/** "Message Data Register Format". */
const MODE_SHIFT = 8;
const LEVEL_TRIGGERED = 1 << 15;

/**
 * What a message-signalled interrupt says. With one processor the redirection hint means nothing.
 * @returns undefined for an address that is no local APIC's
 */
export function decodeMessage(address: number, data: number): ApicMessage | undefined {
  if ((address & ADDRESS_MASK) >>> 0 !== ADDRESS_BASE) return undefined;
  return {
    mode: (data >> MODE_SHIFT) & 7,
    vector: data & 0xff,
    level: (data & LEVEL_TRIGGERED) !== 0,
    destination: (address >> DESTINATION_SHIFT) & 0xff,
    logical: (address & DESTINATION_LOGICAL) !== 0,
  };
}
