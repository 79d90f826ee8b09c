/** The small services: equipment, memory size, serial port, printer. */

import type { BusDevice } from "../../core/device.ts";
import type { BiosCall, Service } from "./call.ts";
import { BDA } from "./data-area.ts";
import type { BiosEnvironment } from "./environment.ts";

const COM1 = 0x3f8;
/** Registers of the UART (National PC16550D). */
const DATA = 0;
const DIVISOR_HIGH = 1;
const LINE_CONTROL = 3;
const MODEM_CONTROL = 4;
const LINE_STATUS = 5;
const MODEM_STATUS = 6;
const DIVISOR_LATCH = 1 << 7;
const DTR_RTS = 3;
const DATA_READY = 1 << 0;
const TIMED_OUT = 1 << 7;
/** How often the line is looked at for a byte: a PC's firmware does so for a second or more. */
const LOOKS = 100;

/** Divisors of 110, 150, 300, 600, 1200, 2400, 4800 and 9600 Bd. */
const DIVISORS = [1047, 768, 384, 192, 96, 48, 24, 12] as const;

const PRINTER_TIMED_OUT = 1 << 0;

export const equipment =
  ({ data }: BiosEnvironment): Service =>
  (call) => {
    call.set("ax", data.u16(BDA.EQUIPMENT));
    return undefined;
  };

export const memorySize =
  ({ data }: BiosEnvironment): Service =>
  (call) => {
    call.set("ax", data.u16(BDA.MEMORY_KIB));
    return undefined;
  };

/** INT 17h: there is no printer. */
export const printer: Service = (call) => {
  call.set("ah", PRINTER_TIMED_OUT);
  return undefined;
};

/** INT 14h. DX is the port's number, of which 0 is there. */
export const serial =
  ({ ports }: BiosEnvironment): Service =>
  (call) => {
    if (call.get("dx") !== 0) return undefined;
    const register = (offset: number): number => ports.read(COM1 + offset, 1);
    switch (call.get("ah")) {
      case 0x00:
        initialise(call, ports);
        setStatus(call, register);
        break;
      case 0x01:
        // The transmitter never keeps anybody waiting.
        ports.write(COM1 + DATA, 1, call.get("al"));
        call.set("ah", register(LINE_STATUS));
        break;
      case 0x02: {
        let status = register(LINE_STATUS);
        for (let i = 1; i < LOOKS && (status & DATA_READY) === 0; i++) {
          status = register(LINE_STATUS);
        }
        const ready = (status & DATA_READY) !== 0;
        if (ready) call.set("al", register(DATA));
        call.set("ah", ready ? status : status | TIMED_OUT);
        break;
      }
      case 0x03:
        setStatus(call, register);
        break;
    }
    return undefined;
  };

/** AL: Bd in the upper three bits, then parity, stop bits and word length as the UART has them. */
function initialise(call: BiosCall, ports: BusDevice): void {
  const parameters = call.get("al");
  const divisor = DIVISORS[parameters >> 5] as number;
  ports.write(COM1 + LINE_CONTROL, 1, DIVISOR_LATCH);
  ports.write(COM1 + DATA, 1, divisor & 0xff);
  ports.write(COM1 + DIVISOR_HIGH, 1, divisor >> 8);
  ports.write(COM1 + LINE_CONTROL, 1, parameters & 0x1f);
  ports.write(COM1 + MODEM_CONTROL, 1, DTR_RTS);
}

function setStatus(call: BiosCall, register: (offset: number) => number): void {
  call.set("ah", register(LINE_STATUS));
  call.set("al", register(MODEM_STATUS));
}
