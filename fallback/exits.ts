import type {
  Accessed,
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
} from "../src/core/cpu.ts";
import type { AccessSize } from "../src/core/device.ts";
import { type Gpa, gpa } from "../src/core/units.ts";
import type { TripleFault } from "./exceptions.ts";
import type { MmioAccess } from "./memory/mmio.ts";

class PendingPortRead implements PortRead {
  readonly kind = "port-read";
  readonly count = 1;
  port = 0;
  size: AccessSize = 1;
  deliver: (value: number) => void = () => {};

  complete(_index: number, value: number): void {
    this.deliver(value);
  }
}

class PendingPortWrite implements PortWrite {
  readonly kind = "port-write";
  readonly count = 1;
  port = 0;
  size: AccessSize = 1;
  written = 0;

  value(): number {
    return this.written;
  }
}

class PendingMmio {
  address: Gpa = gpa(0);
  length = 0;
  readonly data = new Uint8Array(8);

  set({ address, size, value }: MmioAccess): void {
    this.address = gpa(address);
    this.length = size;
    new DataView(this.data.buffer).setBigUint64(0, value, true);
  }
}

class PendingMmioRead extends PendingMmio implements MmioRead {
  readonly kind = "mmio-read";
}

class PendingMmioWrite extends PendingMmio implements MmioWrite {
  readonly kind = "mmio-write";
}

/** One object for each kind of exit. */
export class FallbackExits {
  readonly portRead = new PendingPortRead();
  readonly portWrite = new PendingPortWrite();
  readonly mmioRead = new PendingMmioRead();
  readonly mmioWrite = new PendingMmioWrite();
  readonly accessed: Accessed = { kind: "accessed" };
  readonly halt: Halt = { kind: "halt", interruptible: true };
  readonly haltForever: Halt = { kind: "halt", interruptible: false };
  readonly kicked: Kicked = { kind: "kicked" };
  readonly interruptWindow: InterruptWindow = { kind: "interrupt-window" };
  readonly priorityLowered: PriorityLowered = { kind: "priority-lowered" };

  shutdown({ exceptions }: TripleFault): Shutdown {
    return { kind: "shutdown", exceptions };
  }

  cannotContinue(reason: string, instruction: Uint8Array): CannotContinue {
    return { kind: "cannot-continue", reason, instruction };
  }
}
