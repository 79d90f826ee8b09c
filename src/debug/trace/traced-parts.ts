/** Tells of interrupt lines, virtio devices and what they are connected to. */
import type { BlockBackend, NetBackend } from "../../core/backends.ts";
import type { IrqLine } from "../../core/irq-line.ts";
import type { Irq } from "../../core/units.ts";
import type { VirtioDevice } from "../../devices/virtio/virtio-device.ts";
import { replacing } from "./replacing.ts";
import type { TraceLog } from "./trace-log.ts";

/** For `irq`: when a device's wire changes. */
export function tracedLine(line: Irq, wire: IrqLine, log: TraceLog): IrqLine {
  let level = false;
  return {
    set(next) {
      if (next !== level) log.line("irq", `line ${line} ${next ? "up" : "down"}`);
      level = next;
      wire.set(next);
    },
  };
}

/** For `virtio`: what the driver does with a device. */
export const tracedVirtio = (device: VirtioDevice, name: string, log: TraceLog): VirtioDevice =>
  replacing(device, {
    activate(driver) {
      const features = driver.features >>> 0;
      const version = driver.version1 ? "1.0 or later" : "legacy";
      log.line("virtio", `${name} driver ready: ${version}, features 0x${features.toString(16)}`);
      device.activate(driver);
    },
    notify(queue) {
      log.line("virtio", `${name} queue ${queue} notified`);
      device.notify(queue);
    },
    reset() {
      log.line("virtio", `${name} reset`);
      device.reset();
    },
  });

/** For `net`: frames, whichever way they go. */
export const tracedNet = (backend: NetBackend, name: string, log: TraceLog): NetBackend =>
  replacing(backend, {
    transmit(frame, header) {
      log.line("net", `${name} out ${describeFrame(frame)}`);
      backend.transmit(frame, header);
    },
    connect(receive) {
      backend.connect((frame, header) => {
        const taken = receive(frame, header);
        log.line("net", `${name} in  ${describeFrame(frame)}${taken ? "" : ", no room"}`);
        return taken;
      });
    },
  });

const ETHERTYPES: Readonly<Record<number, string>> = { 2048: "IPv4", 2054: "ARP", 34525: "IPv6" };
const PROTOCOLS: Readonly<Record<number, string>> = { 1: "ICMP", 6: "TCP", 17: "UDP" };

/** Addresses, type and length of an Ethernet frame. */
function describeFrame(frame: Uint8Array): string {
  const mac = (at: number) =>
    [...frame.subarray(at, at + 6)].map((byte) => byte.toString(16).padStart(2, "0")).join(":");
  const type = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
  const protocol = type === 0x800 ? ` ${PROTOCOLS[frame[23] ?? 0] ?? `protocol ${frame[23]}`}` : "";
  const what = ETHERTYPES[type] ?? `type 0x${type.toString(16)}`;
  return `${mac(6)} > ${mac(0)} ${what}${protocol}, ${frame.length} bytes`;
}

/** For `block`: what a disk is asked for. */
export const tracedBlock = (backend: BlockBackend, name: string, log: TraceLog): BlockBackend => {
  const told =
    <Args extends unknown[]>(describe: (...args: Args) => string, call: (...args: Args) => void) =>
    (...args: Args): void => {
      try {
        call(...args);
        log.line("block", `${name} ${describe(...args)}`);
      } catch (error) {
        log.line("block", `${name} ${describe(...args)} failed`);
        throw error;
      }
    };
  return replacing(backend, {
    read: told(
      (offset: number, into: Uint8Array) => `read  ${into.length} bytes at ${offset}`,
      (offset, into) => backend.read(offset, into),
    ),
    write: told(
      (offset: number, from: Uint8Array) => `write ${from.length} bytes at ${offset}`,
      (offset, from) => backend.write(offset, from),
    ),
    flush: told(
      () => "flush",
      () => backend.flush(),
    ),
  });
};
