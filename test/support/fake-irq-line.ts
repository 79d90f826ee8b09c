import type { IrqLine } from "../../src/core/irq-line.ts";

/** A wire that remembers its level and counts its rising edges. */
export class FakeIrqLine implements IrqLine {
  level = false;
  rises = 0;

  set(level: boolean): void {
    if (level && !this.level) this.rises++;
    this.level = level;
  }

  /** The rising edges since the last call. */
  takeRises(): number {
    const { rises } = this;
    this.rises = 0;
    return rises;
  }
}
