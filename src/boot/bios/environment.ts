import type { Clock } from "../../core/clock.ts";
import type { BusDevice } from "../../core/device.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import type { BiosDataArea } from "./data-area.ts";
import type { Drive } from "./drive.ts";

/** What the services work on. */
export interface BiosEnvironment {
  readonly memory: GuestMemory;
  /** The machine's ports: firmware programs its chips as any other software does. */
  readonly ports: BusDevice;
  readonly clock: Clock;
  readonly data: BiosDataArea;
  /** In the order of their numbers; those of floppies first. */
  readonly drives: readonly Drive[];
  /** The text screen is about to lose lines: last chance to show them. */
  readonly onScroll: () => void;
  /**
   * The guest has set a VGA's graphics mode: called once.
   * @param shown whether a display can show it
   */
  readonly onGraphics: (mode: number, shown: boolean) => void;
  /** The guest has looked for VBE, which needs video memory, and there is none: called once. */
  readonly onVbeMissed: () => void;
}
