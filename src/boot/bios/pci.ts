/**
 * INT 1Ah AH=B1h: the PCI BIOS (PCI BIOS Specification 2.1), on bus 0 by configuration mechanism #1.
 * There is no 32-bit service directory: protected-mode software reaches the bus itself.
 */

import type { AccessSize, BusDevice } from "../../core/device.ts";
import type { BiosCall } from "./call.ts";

const SIGNATURE = 0x2049_4350; // "PCI "
const VERSION = 0x0210;
const MECHANISM_1 = 1;

const SUCCESSFUL = 0x00;
const FUNCTION_NOT_SUPPORTED = 0x81;
const DEVICE_NOT_FOUND = 0x86;
const BAD_REGISTER_NUMBER = 0x87;

const CONFIG_ADDRESS = 0xcf8;
const CONFIG_DATA = 0xcfc;
const ENABLE = 0x8000_0000;
const SLOTS = 32;
const FUNCTIONS = 8;
const NO_DEVICE = 0xffff_ffff;

const SIZES = [1, 2, 4] as const;

export function pciService(call: BiosCall, ports: BusDevice): void {
  const fn = call.get("al");
  const done = (status: number): void => {
    call.set("ah", status);
    call.carry = status !== SUCCESSFUL;
  };
  switch (fn) {
    case 0x01:
      call.set("edx", SIGNATURE);
      call.set("edi", 0);
      call.set("bx", VERSION);
      call.set("cl", 0); // The last bus.
      call.set("al", MECHANISM_1);
      done(SUCCESSFUL);
      break;
    case 0x02: {
      const wanted = ((call.get("cx") << 16) | call.get("dx")) >>> 0;
      done(find(call, ports, (at) => read(ports, at, 0, 4) === wanted));
      break;
    }
    case 0x03: {
      const wanted = call.get("ecx") & 0xff_ffff;
      done(find(call, ports, (at) => read(ports, at, 8, 4) >>> 8 === wanted));
      break;
    }
    default:
      if (fn >= 0x08 && fn <= 0x0d) done(access(call, ports, fn));
      else done(FUNCTION_NOT_SUPPORTED);
  }
}

/** The function number SI of those that match: its address goes to BX. */
function find(call: BiosCall, ports: BusDevice, matches: (at: number) => boolean): number {
  let index = call.get("si");
  for (let at = 0; at < SLOTS * FUNCTIONS; at++) {
    if (read(ports, at, 0, 4) === NO_DEVICE || !matches(at)) continue;
    if (index-- > 0) continue;
    call.set("bx", at);
    return SUCCESSFUL;
  }
  return DEVICE_NOT_FOUND;
}

/** Functions 8 to 10 read a byte, a word, a doubleword into CX; 11 to 13 write it. */
function access(call: BiosCall, ports: BusDevice, fn: number): number {
  const size = SIZES[(fn - 0x08) % 3] as AccessSize;
  const register = call.get("di");
  if (register > 0xff || register % size !== 0) return BAD_REGISTER_NUMBER;
  const name = ({ 1: "cl", 2: "cx", 4: "ecx" } as const)[size];
  const at = call.get("bx");
  if (fn <= 0x0a) call.set(name, read(ports, at, register, size));
  else {
    select(ports, at, register);
    ports.write(CONFIG_DATA + (register & 3), size, call.get(name));
  }
  return SUCCESSFUL;
}

/** @param at bus, device and function as the address register has them, from bit 8 on */
function select(ports: BusDevice, at: number, register: number): void {
  ports.write(CONFIG_ADDRESS, 4, (ENABLE | (at << 8) | (register & 0xfc)) >>> 0);
}

function read(ports: BusDevice, at: number, register: number, size: AccessSize): number {
  select(ports, at, register);
  return ports.read(CONFIG_DATA + (register & 3), size);
}
