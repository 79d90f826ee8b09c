import { beforeEach, describe, expect, it } from "vitest";
import { ConfigSpace } from "../../../src/devices/pci/config-space.ts";
import { Msix } from "../../../src/devices/pci/msix.ts";
import { readWriteEverything } from "../../support/bus-fuzz.ts";

const CONTROL = 0x42;
const ENABLE = 0x8000;
const FUNCTION_MASK = 0x4000;
const APIC = 0xfee0_0000;

let config: ConfigSpace;
let msix: Msix;
let sent: string[];

const create = (): void => {
  config = new ConfigSpace({ vendor: 0x1af4, device: 0x1000, classCode: 0x02_00_00 });
  sent = [];
  msix = new Msix({
    config,
    vectors: 3,
    bar: 1,
    tableOffset: 0x2000,
    pendingOffset: 0x3000,
    send: (address, data) => sent.push(`${address.toString(16)}=${data.toString(16)}`),
  });
};

beforeEach(create);

const control = (value: number): void => {
  config.write(CONTROL, 2, value);
  msix.update();
};

const setVector = (vector: number, data: number, masked: boolean): void => {
  msix.table.write(16 * vector, 4, APIC);
  msix.table.write(16 * vector + 8, 4, data);
  msix.table.write(16 * vector + 12, 4, masked ? 1 : 0);
};

describe("the capability", () => {
  it("tells how many vectors there are, and where", () => {
    expect(config.read(0x06, 2)).toBe(0x10);
    expect(config.read(0x34, 1)).toBe(0x40);
    expect(config.read(0x40, 4)).toBe(0x0002_0011);
    expect(config.read(0x44, 4)).toBe(0x2001);
    expect(config.read(0x48, 4)).toBe(0x3001);
  });

  it("has an enable and a mask bit to write, and they go with a reset", () => {
    control(0xffff);
    expect(config.read(CONTROL, 2)).toBe(ENABLE | FUNCTION_MASK | 2);
    expect(msix.enabled).toBe(true);
    config.reset();
    expect(msix.enabled).toBe(false);
  });
});

describe("a vector", () => {
  it("sends its message", () => {
    setVector(1, 0x4021, false);
    control(ENABLE);
    msix.signal(1);
    msix.signal(1);
    expect(sent).toEqual(["fee00000=4021", "fee00000=4021"]);
  });

  it("is masked at first, and pends once until it is unmasked", () => {
    control(ENABLE);
    setVector(2, 0x33, true);
    msix.signal(2);
    msix.signal(2);
    expect(sent).toEqual([]);
    expect(msix.pendingBits.read(0, 4)).toBe(1 << 2);
    setVector(2, 0x33, false);
    expect(sent).toEqual(["fee00000=33"]);
    expect(msix.pendingBits.read(0, 1)).toBe(0);
  });

  it("pends while the whole function is masked", () => {
    setVector(0, 0x30, false);
    control(ENABLE | FUNCTION_MASK);
    msix.signal(0);
    expect(sent).toEqual([]);
    control(ENABLE);
    expect(sent).toEqual(["fee00000=30"]);
  });

  it("is silent while MSI-X is disabled, and after a reset", () => {
    setVector(0, 0x30, false);
    msix.signal(0);
    control(ENABLE);
    msix.reset();
    msix.signal(0);
    expect(sent).toEqual([]);
    expect(msix.table.read(12, 4)).toBe(1);
  });

  it("with an address above 4 GiB is lost", () => {
    setVector(0, 0x30, false);
    msix.table.write(4, 4, 1);
    control(ENABLE);
    msix.signal(0);
    expect(sent).toEqual([]);
  });
});

it("the table keeps what is written, doublewords only, and has no more than its vectors", () => {
  msix.table.write(8, 4, 0xdead_beef);
  expect(msix.table.read(8, 4)).toBe(0xdead_beef);
  expect(msix.table.read(10, 2)).toBe(0xdead);
  msix.table.write(8, 2, 0);
  expect(msix.table.read(8, 4)).toBe(0xdead_beef);
  msix.table.write(12, 4, 0xffff_fffe);
  expect(msix.table.read(12, 4)).toBe(0);
  msix.table.write(0x30, 4, 1);
  expect(msix.table.read(0x30, 4)).toBe(0);
});

it("survives anything read and written", () => {
  readWriteEverything(() => {
    create();
    control(ENABLE);
    const ranges = [
      [msix.table, 0x40],
      [msix.pendingBits, 0x40],
    ] as const;
    return { ranges };
  });
});
