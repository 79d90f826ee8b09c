import type {
  CannotContinue,
  Halt,
  InterruptWindow,
  Kicked,
  MmioRead,
  MmioWrite,
  PortRead,
  PortWrite,
  PriorityLowered,
  Shutdown,
} from "../core/cpu.ts";
import type { DebugExit } from "../core/debug.ts";
import type { AccessSize } from "../core/device.ts";
import { type Gpa, gpa } from "../core/units.ts";
import { RUN } from "./layout.ts";

/** Reads and writes the data of a port exit where KVM put it: `count` elements of `size` bytes. */
class PortAccess {
  port = 0;
  size: AccessSize = 1;
  count = 0;
  readonly #run: DataView;
  #data = 0;

  constructor(run: DataView) {
    this.#run = run;
  }

  load(): void {
    this.port = this.#run.getUint16(RUN["io.port"], true);
    this.size = this.#run.getUint8(RUN["io.size"]) as AccessSize;
    this.count = this.#run.getUint32(RUN["io.count"], true);
    // The upper half is zero: the offset is inside the mapping.
    this.#data = this.#run.getUint32(RUN["io.data_offset"], true);
  }

  value(index: number): number {
    const at = this.#data + index * this.size;
    if (this.size === 1) return this.#run.getUint8(at);
    if (this.size === 2) return this.#run.getUint16(at, true);
    return this.#run.getUint32(at, true);
  }

  complete(index: number, value: number): void {
    const at = this.#data + index * this.size;
    if (this.size === 1) this.#run.setUint8(at, value);
    else if (this.size === 2) this.#run.setUint16(at, value, true);
    else this.#run.setUint32(at, value, true);
  }
}

export class KvmPortRead extends PortAccess implements PortRead {
  readonly kind = "port-read";
}

export class KvmPortWrite extends PortAccess implements PortWrite {
  readonly kind = "port-write";
}

class MmioAccess {
  address: Gpa = gpa(0);
  length = 0;
  readonly data: Uint8Array;
  readonly #run: DataView;

  constructor(run: DataView) {
    this.#run = run;
    this.data = new Uint8Array(run.buffer, RUN["mmio.data"], 8);
  }

  load(): void {
    const at = RUN["mmio.phys_addr"];
    this.address = gpa(
      this.#run.getUint32(at, true) + this.#run.getUint32(at + 4, true) * 0x1_0000_0000,
    );
    this.length = this.#run.getUint32(RUN["mmio.len"], true);
  }
}

export class KvmMmioRead extends MmioAccess implements MmioRead {
  readonly kind = "mmio-read";
}

export class KvmMmioWrite extends MmioAccess implements MmioWrite {
  readonly kind = "mmio-write";
}

/** One object for each kind of exit of one vCPU. */
export class KvmExits {
  readonly portRead: KvmPortRead;
  readonly portWrite: KvmPortWrite;
  readonly mmioRead: KvmMmioRead;
  readonly mmioWrite: KvmMmioWrite;
  readonly halt: Halt = { kind: "halt", interruptible: true };
  readonly haltForever: Halt = { kind: "halt", interruptible: false };
  readonly kicked: Kicked = { kind: "kicked" };
  readonly interruptWindow: InterruptWindow = { kind: "interrupt-window" };
  readonly priorityLowered: PriorityLowered = { kind: "priority-lowered" };
  readonly shutdown: Shutdown = { kind: "shutdown", exceptions: [], stateLost: false };
  readonly shutdownAndReset: Shutdown = { kind: "shutdown", exceptions: [], stateLost: true };
  readonly stepped: DebugExit = { kind: "debug", cause: "step", watchpoint: undefined };

  /** @param run the whole `kvm_run` mapping */
  constructor(run: DataView) {
    this.portRead = new KvmPortRead(run);
    this.portWrite = new KvmPortWrite(run);
    this.mmioRead = new KvmMmioRead(run);
    this.mmioWrite = new KvmMmioWrite(run);
  }

  cannotContinue(reason: string, instruction: Uint8Array): CannotContinue {
    return { kind: "cannot-continue", reason, instruction };
  }
}
