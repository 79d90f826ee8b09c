import { describe, expect, it } from "vitest";
import { SharedIrqLine } from "../../src/core/irq-line.ts";
import { FakeIrqLine } from "../support/fake-irq-line.ts";

describe("shared interrupt line", () => {
  it("is high while any of its drivers is", () => {
    const output = new FakeIrqLine();
    const shared = new SharedIrqLine(output);
    const first = shared.driver();
    const second = shared.driver();
    first.set(true);
    second.set(true);
    first.set(false);
    expect(output.level).toBe(true);
    second.set(false);
    expect(output.level).toBe(false);
    expect(output.rises).toBe(1);
  });

  it("counts a driver once however often it repeats itself", () => {
    const output = new FakeIrqLine();
    const driver = new SharedIrqLine(output).driver();
    driver.set(true);
    driver.set(true);
    driver.set(false);
    expect(output.level).toBe(false);
    driver.set(false);
    driver.set(true);
    expect(output.level).toBe(true);
  });
});
