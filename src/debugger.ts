/** A debugger's way to a machine: what waits for it, and what answers it. */

import { chooseExecutable } from "./debug/executable.ts";
import { MachineTarget } from "./debug/gdb/machine-target.ts";
import { GdbStub } from "./debug/gdb/stub.ts";
import type { OfferedFile } from "./debug/gdb/target.ts";
import { Monitor, type TraceSwitch } from "./debug/monitor/monitor.ts";
import { type DebugAddress, DebugListener } from "./host/debug-listener.ts";
import type { Machine } from "./machine/machine.ts";

export interface DebuggedMachine {
  readonly machine: Machine;
  readonly image: OfferedFile;
  /** Files that may be the image's program with its symbols, which debuggers ask for. */
  readonly programs: readonly OfferedFile[];
  /** The program with its symbols, if the user says which it is. */
  readonly symbols: OfferedFile | undefined;
  /** What is traced, if anything is. */
  readonly trace: TraceSwitch | undefined;
  /** Ends the run at the debugger's word. */
  readonly kill: () => void;
}

/** Waits for GDB or LLDB and lets one at a time debug a machine. */
export class DebugServer {
  readonly #listener: DebugListener;

  private constructor(listener: DebugListener) {
    this.#listener = listener;
  }

  /** @throws HostError when the port or path cannot be had */
  static async listen(address: DebugAddress): Promise<DebugServer> {
    return new DebugServer(await DebugListener.listen(address));
  }

  /** From now on debuggers are let in. Before the machine runs. */
  serve({ machine, image, programs, symbols, trace, kill }: DebuggedMachine): void {
    let target: MachineTarget | undefined;
    // Looking for the program reads all of it: not before somebody asks.
    const debugged = (): MachineTarget => {
      const executable = symbols ?? chooseExecutable(image, programs);
      return new MachineTarget(machine, executable, new Monitor({ machine, trace, kill }));
    };
    let session: GdbStub | undefined;
    machine.control.onStop = (stop) => session?.stopped(stop);
    machine.control.onEnd = (outcome) => session?.ended(outcome);
    this.#listener.start(({ send, close }) => {
      target ??= debugged();
      const stub = new GdbStub({
        target,
        send,
        close: () => {
          session = undefined;
          close();
        },
      });
      session = stub;
      return {
        receive: (bytes) => stub.receive(bytes),
        disconnected: () => {
          session = undefined;
          stub.disconnected();
        },
      };
    });
  }

  close(): void {
    this.#listener.close();
  }
}
