import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../../src/core/clock.ts";
import { type GuestError, HostError } from "../../../src/core/errors.ts";
import { GuestMemory } from "../../../src/core/guest-memory.ts";
import { gpa, MIB, nanos, SECOND } from "../../../src/core/units.ts";
import { HvtBoard, type TenderInterface } from "../../../src/machine/hvt-board.ts";
import type { Outcome } from "../../../src/machine/outcome.ts";
import { FakeDisk, FakeLink } from "../../support/fake-backends.ts";
import { FakeConsole } from "../../support/fake-console.ts";
import { SeededRandom } from "../../support/random.ts";

const AT = 0x2000;
const DATA = 0x4000;
const RING = 0x10_0000;

/** A board with a disk (handle 1) and two links (2 and 40), and a guest that is played by hand. */
class Rig {
  readonly memory = new GuestMemory(new ArrayBuffer(2 * MIB));
  readonly clock = new VirtualClock(1_700_000_000 * SECOND);
  readonly console = new FakeConsole();
  readonly disk = new FakeDisk(8);
  readonly links = [new FakeLink(), new FakeLink(9000)] as const;
  readonly outcomes: Outcome[] = [];
  readonly reports: (GuestError | HostError)[] = [];
  woken = 0;
  readonly board: HvtBoard;

  constructor(
    tender: TenderInterface = {
      abi: "hvt",
      netHandles: [2, 40],
      blockHandles: [1],
      netRing: RING,
    },
  ) {
    const mac = Uint8Array.of(2, 0, 0, 0, 0, 1);
    const links = tender.abi === "hvt" ? this.links : this.links.slice(0, 1);
    this.board = new HvtBoard(
      {
        memory: this.memory,
        clock: this.clock,
        console: this.console,
        nets: links.map((backend) => ({ backend, mac })),
        blocks: [{ backend: this.disk, id: "disk" }],
        report: (error) => this.reports.push(error),
        onEnd: (outcome) => this.outcomes.push(outcome),
        onInterrupt: () => {
          this.woken++;
        },
      },
      tender,
    );
  }

  /** Writes 64-bit fields at {@link AT} and calls. */
  call(number: number, ...fields: number[]): void {
    fields.forEach((value, i) => {
      this.memory.writeU64(gpa(AT + 8 * i), value);
    });
    this.board.ports.write(0x500 + number, 4, AT);
  }

  field(index: number): number {
    return this.memory.readU64(gpa(AT + 8 * index));
  }

  ret(index: number): number {
    return this.memory.readU32(gpa(AT + 8 * index)) | 0;
  }
}

const below = (seed: number): ((limit: number) => number) => {
  const random = new SeededRandom(seed);
  return (limit) => random.below(limit);
};

const FRAME = new Uint8Array(60).fill(0xab);

describe("hvt's hypercalls", () => {
  it("tell the time and print", () => {
    const rig = new Rig();
    rig.clock.advance(5);
    rig.call(1);
    expect(rig.field(0)).toBeCloseTo(1_700_000_000 * SECOND + 5, -3);
    rig.memory.write(gpa(DATA), new TextEncoder().encode("hello"));
    rig.call(2, DATA, 5);
    expect(rig.console.text).toBe("hello");
  });

  it("let the guest wait for a time, which it does not run", () => {
    const rig = new Rig();
    rig.call(3, 1000, 99, 99);
    expect(rig.board.holdsGuest).toBe(true);
    rig.clock.advance(999);
    expect(rig.board.holdsGuest).toBe(true);
    rig.clock.advance(1);
    expect(rig.board.holdsGuest).toBe(false);
    expect([rig.field(1), rig.ret(2)]).toEqual([0, 0]);
  });

  it("let the guest wait for a frame, and tell which links have one", () => {
    const rig = new Rig();
    rig.call(3, Number.MAX_SAFE_INTEGER, 99, 99);
    expect(rig.links[1].deliver(FRAME)).toBe(true);
    expect([rig.board.holdsGuest, rig.woken]).toEqual([false, 1]);
    expect([rig.field(1), rig.ret(2)]).toEqual([2 ** 40, 1]);
    rig.links[0].deliver(FRAME);
    rig.call(3, Number.MAX_SAFE_INTEGER, 99, 99);
    expect([rig.board.holdsGuest, rig.field(1), rig.ret(2)]).toEqual([false, 2 ** 40 + 4, 2]);
    rig.clock.advance(10 * SECOND);
    expect(rig.woken).toBe(1);
  });

  it("hand frames over whole, in order, and as many as there is room for", () => {
    const rig = new Rig();
    for (let i = 0; i < 64; i++) expect(rig.links[0].deliver(FRAME.slice(0, 14 + i))).toBe(true);
    expect(rig.links[0].deliver(FRAME)).toBe(false);
    rig.call(7, 2, DATA, 1514, 99);
    expect([rig.field(2), rig.ret(3), rig.links[0].resumed]).toEqual([14, 0, 1]);
    rig.call(7, 2, DATA, 10, 99);
    expect([rig.field(2), rig.ret(3), rig.links[0].resumed]).toEqual([10, 0, 1]);
    rig.call(7, 40, DATA, 1514, 99);
    expect(rig.ret(3)).toBe(1);
    expect(rig.board.nets[0]?.stats).toMatchObject({ framesIn: 2, bytesIn: 24 });
  });

  it("send frames, but none that the link does not carry", () => {
    const rig = new Rig();
    rig.memory.write(gpa(DATA), FRAME);
    rig.call(6, 40, DATA, 60, 99);
    expect([rig.ret(3), rig.links[1].sent]).toEqual([0, [FRAME]]);
    for (const [handle, length] of [
      [2, 13],
      [2, 1519],
      [1, 60],
      [3, 60],
    ] as const) {
      rig.call(6, handle, DATA, length, 99);
      expect(rig.ret(3)).toBe(2);
    }
    rig.links[1].failure = new HostError("no link");
    rig.call(6, 40, DATA, 9018, 99);
    expect([rig.ret(3), rig.reports.length]).toEqual([0, 1]);
    expect(rig.board.nets[1]?.stats).toMatchObject({ framesOut: 1, bytesOut: 60, dropped: 1 });
  });

  it("read and write the disk, inside of it", () => {
    const rig = new Rig();
    rig.memory.fill(gpa(DATA), 512, 7);
    rig.call(4, 1, 1024, DATA, 512, 99);
    expect([rig.ret(4), rig.disk.bytes[1024], rig.disk.bytes[1023]]).toEqual([0, 7, 0]);
    rig.call(5, 1, 1023, DATA, 2, 99);
    expect([rig.ret(4), rig.memory.readU16(gpa(DATA))]).toEqual([0, 0x700]);
    for (const [handle, offset, length] of [
      [1, 4096, 1],
      [1, 3584, 513],
      [1, 2 ** 60, 512],
      [1, 0, 2 ** 60],
      [2, 0, 512],
    ] as const) {
      for (const number of [4, 5]) {
        rig.call(number, handle, offset, DATA, length, 99);
        expect(rig.ret(4)).toBe(2);
      }
    }
    rig.disk.broken = true;
    rig.call(5, 1, 0, DATA, 512, 99);
    expect([rig.ret(4), rig.reports.length]).toEqual([3, 1]);
  });

  it("end the run", () => {
    const rig = new Rig();
    rig.call(8, 0, 255);
    rig.call(8, DATA, 2 ** 32 - 1);
    expect(rig.outcomes).toEqual([
      { kind: "exit", status: 255 },
      { kind: "exit", status: 255 },
    ]);
    rig.call(8, 2 * MIB - 511, 0);
    expect(rig.outcomes[2]).toMatchObject({ kind: "fault", reason: /not in RAM/ });
  });

  it("do not write for the guest where it may not", () => {
    const rig = new Rig();
    const code = { start: DATA, end: DATA + 0x1000, read: false, write: false, execute: true };
    rig.memory.protections = [code];
    rig.links[0].deliver(FRAME);
    for (const [number, ...fields] of [
      [7, 2, DATA + 0xfff, 60],
      [7, 2, DATA - 1, 60],
      [5, 1, 0, DATA, 512],
    ] as const) {
      rig.call(number, ...fields);
      expect(rig.outcomes.pop()).toMatchObject({ kind: "fault", reason: /may not be written/ });
    }
    rig.board.ports.write(0x501, 4, DATA);
    expect(rig.outcomes.pop()).toMatchObject({ kind: "fault" });
    expect(rig.memory.slice(gpa(DATA), 0x1000).every((byte) => byte === 0)).toBe(true);
  });
});

describe("the shared network ring", () => {
  const entry = (rig: Rig, index: number, ...fields: [number, number, number, number, number]) => {
    const [operation, handle, data, length, id] = fields;
    const at = RING + 128 + 32 * index;
    rig.memory.writeU32(gpa(at), operation);
    rig.memory.writeU32(gpa(at + 4), handle);
    rig.memory.writeU64(gpa(at + 8), data);
    rig.memory.writeU32(gpa(at + 16), length);
    rig.memory.writeU32(gpa(at + 20), id);
  };
  const commit = (rig: Rig, index: number): number[] =>
    [0, 4, 8].map((offset) =>
      rig.memory.readU32(gpa(RING + 128 + 32 * 1024 + 16 * index + offset)),
    );

  it("is served at the kick: frames out, frames in, and what is no request", () => {
    const rig = new Rig();
    expect(rig.memory.readU32(gpa(RING + 72))).toBe(1);
    rig.memory.write(gpa(DATA), FRAME);
    rig.links[0].deliver(FRAME.subarray(0, 33));
    entry(rig, 0, 1, 2, DATA, 60, 1);
    entry(rig, 1, 2, 2, DATA + 100, 1514, 2);
    entry(rig, 2, 2, 40, DATA, 1514, 3);
    entry(rig, 3, 2, 1, DATA, 1514, 4);
    entry(rig, 4, 77, 2, DATA, 1514, 5);
    entry(rig, 5, 1, 9, DATA, 60, 6);
    rig.memory.writeU32(gpa(RING), 6);
    rig.board.ports.write(0x600, 4, 0);
    expect(rig.links[0].sent).toEqual([FRAME]);
    expect([0, 1, 2].map((index) => commit(rig, index))).toEqual([
      [2, 0, 33],
      [3, 1, 0],
      [4, 2, 0],
    ]);
    expect(rig.memory.readU32(gpa(RING + 64))).toBe(6);
    expect(rig.memory.readU32(gpa(RING + 68))).toBe(3);
    expect(rig.outcomes).toEqual([]);
  });

  it("does not believe the guest's copy of the host's indices", () => {
    const rig = new Rig();
    entry(rig, 0, 2, 2, DATA, 60, 1);
    rig.memory.writeU32(gpa(RING), 1);
    rig.memory.writeU32(gpa(RING + 64), 0xffff_ff00);
    rig.memory.writeU32(gpa(RING + 68), 0xdead_beef);
    rig.board.ports.write(0x600, 4, 0);
    expect(rig.memory.readU32(gpa(RING + 64))).toBe(1);
    expect(rig.memory.readU32(gpa(RING + 68))).toBe(1);
  });

  it("survives whatever is in it", () => {
    const random = below(0x510_5);
    for (let round = 0; round < 300; round++) {
      const rig = new Rig();
      for (let i = 0; i < 400; i++) {
        rig.memory.writeU32(gpa(RING + 4 * random(12_320)), random(2 ** 32));
      }
      for (let i = 0; i < 8; i++) {
        const data = random(2) === 0 ? random(2 * MIB) : random(2 ** 32);
        entry(rig, i, random(4), random(42), data, random(2000), i);
      }
      rig.memory.writeU32(gpa(RING), random(8) === 0 ? random(2 ** 32) : random(1025));
      rig.board.ports.write(0x600, 4, 0);
      for (const outcome of rig.outcomes) expect(outcome.kind).toBe("fault");
    }
  });
});

it("hvt's hypercalls survive arguments of any kind", () => {
  const random = below(2);
  const value = (): number =>
    [() => random(64), () => random(0x4000), () => random(2 ** 32), () => 2 ** (33 + random(30))][
      random(4)
    ]?.() ?? 0;
  const rig = new Rig();
  for (let i = 0; i < 5_000; i++) {
    rig.console.text = "";
    if (random(4) === 0) rig.links[random(2)]?.deliver(FRAME);
    if (random(8) === 0) rig.board.ports.write(0x4f8 + random(24), [1, 2, 4][random(3)] as 4, 0);
    rig.call(random(9), value(), value(), value(), value(), value());
    rig.clock.advance(random(3) === 0 ? SECOND : 0);
    if (rig.board.holdsGuest) rig.clock.alarms.fireDue(nanos(Number.MAX_VALUE));
    for (const { kind } of rig.outcomes.splice(0)) expect(kind).toMatch(/fault|exit/);
  }
});

describe("ukvm's hypercalls", () => {
  it("tell of the disk and the link, and use them", () => {
    const rig = new Rig({ abi: "ukvm" });
    rig.call(4);
    expect([rig.field(0), rig.field(1), rig.ret(2)]).toEqual([512, 8, 1]);
    rig.call(7);
    expect([...rig.memory.slice(gpa(AT), 6)]).toEqual([2, 0, 0, 0, 0, 1]);
    rig.memory.fill(gpa(DATA), 512, 9);
    rig.call(5, 2, DATA, 512, 99);
    expect([rig.ret(3), rig.disk.bytes[1024]]).toEqual([0, 9]);
    rig.call(6, 7, DATA, 1024, 99);
    expect(rig.ret(3)).toBe(-1);
    rig.call(6, 0, DATA, 512, 99);
    expect([rig.ret(3), rig.memory.readU8(gpa(DATA))]).toEqual([0, 0]);
    rig.call(9, DATA, 1514, 99);
    expect(rig.ret(2)).toBe(-1);
    rig.call(3, 1000, 99);
    rig.links[0].deliver(FRAME);
    expect([rig.board.holdsGuest, rig.ret(1)]).toEqual([false, 1]);
    rig.call(9, DATA, 1514, 99);
    expect([rig.field(1), rig.ret(2)]).toEqual([60, 0]);
    rig.call(8, DATA, 60, 99);
    expect([rig.ret(2), rig.links[0].sent]).toEqual([0, [FRAME]]);
    rig.call(10, 0, 7);
    expect(rig.outcomes).toEqual([{ kind: "exit", status: 7 }]);
  });
});
