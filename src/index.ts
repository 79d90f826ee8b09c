/**
 * The public API: a virtual machine on Node. {@link createMachine} puts it together, `run` runs it
 * to its end. The command line is one user of it.
 */
import { type Accelerator, createProcessor } from "./accelerator.ts";
import { type AlarmQueue, type Clock, CountedClock } from "./core/clock.ts";
import type { Registers } from "./core/cpu.ts";
import type { TranslationStore } from "./core/translations.ts";
import { HostClock } from "./host/clock.ts";
import { CountedEventLoop, NodeEventLoop } from "./host/event-loop.ts";
import { assembleMachine, type GuestDescription } from "./machine/assemble.ts";
import type { Machine } from "./machine/machine.ts";

export { ACCELERATORS, type Accelerator, automaticChoice } from "./accelerator.ts";
export { BOOT_MODES, type BootMode } from "./boot/boot-plan.ts";
export type { Manifest } from "./boot/solo5/manifest.ts";
export type {
  BlockBackend,
  ConsoleBackend,
  EntropySource,
  FrameReceiver,
  NetBackend,
} from "./core/backends.ts";
export { CountedClock } from "./core/clock.ts";
export { Bug, GuestError, HostError } from "./core/errors.ts";
export { isBlockSize } from "./devices/hvt/block-port.ts";
export { type Connections, DEFAULT_MEMORY_MIB } from "./machine/assemble.ts";
export type { BlockDevice, NetDevice } from "./machine/board.ts";
export type { Machine } from "./machine/machine.ts";
export { MAX_MEMORY_MIB, MIN_MEMORY_MIB } from "./machine/memory.ts";
export type { Outcome } from "./machine/outcome.ts";

export interface MachineDescription extends GuestDescription {
  /**
   * The time that devices and back ends share; the host's unless given. With a {@link CountedClock}
   * the run is deterministic, on the processor in TypeScript.
   */
  readonly clock?: Clock & { readonly alarms: AlarmQueue };
  /** Which processor; `auto` unless given. */
  readonly accelerator?: Accelerator;
  /** Whether the processor in TypeScript translates what is hot to WebAssembly; unless not wanted. */
  readonly jit?: boolean;
  /** Where translations are kept for the next run of the same guest; nowhere unless given. */
  readonly translations?: TranslationStore | undefined;
  /**
   * Whether an interpreter executes the same and is compared with the JIT; with a `CountedClock`. What
   * they differ in ends the run as a `Bug`.
   */
  readonly crossCheck?: boolean;
  /**
   * Hears, from the processor in TypeScript, how many nanoseconds the guest has run since the last
   * call, and may ask where it stands.
   */
  readonly profile?: ((elapsed: number, registers: () => Registers) => void) | undefined;
}

/**
 * A machine with its processor, ready to run.
 * @throws GuestError when the image cannot be booted, HostError when KVM or memory is refused; what
 *   `connect` throws
 */
export function createMachine(description: MachineDescription): Machine {
  const { clock = new HostClock(), timed = false, explain = () => {} } = description;
  return assembleMachine(description, {
    clock,
    sharedMemory: true,
    createProcessor: (memory, operatingSystem) => {
      const { cpu, waitForEvents } = createProcessor({
        accelerator: description.accelerator ?? "auto",
        operatingSystem,
        memory,
        clock,
        timed,
        jit: description.jit ?? true,
        translations: description.translations,
        crossCheck: description.crossCheck ?? false,
        profile: description.profile,
        explain,
      });
      const eventLoop =
        clock instanceof CountedClock
          ? new CountedEventLoop(clock)
          : new NodeEventLoop(clock, waitForEvents);
      return { cpu, eventLoop };
    },
  });
}
