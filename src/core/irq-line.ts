/**
 * One device's wire to an interrupt controller. Level is what the device drives; whether the
 * controller looks at the level or at its rising edge is the controller's business.
 */
export interface IrqLine {
  set(level: boolean): void;
}

/**
 * A wire that several devices drive: high while any of them is (PCI INTx, or ISA lines shared).
 */
export class SharedIrqLine {
  readonly output: IrqLine;
  #drivers = 0;

  constructor(output: IrqLine) {
    this.output = output;
  }

  /** One more driver of the wire, low at first. */
  driver(): IrqLine {
    let driven = false;
    return {
      set: (level) => {
        if (level === driven) return;
        driven = level;
        const before = this.#drivers;
        this.#drivers += level ? 1 : -1;
        if ((before === 0) !== (this.#drivers === 0)) this.output.set(level);
      },
    };
  }
}
