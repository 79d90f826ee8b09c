import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { VectorArbiter } from "../../../src/devices/irq/vector-arbiter.ts";
import { NONE, VectorSet } from "../../../src/devices/irq/vector-set.ts";

const vector = fc.integer({ min: 16, max: 255 });

describe("a set of vectors", () => {
  it("agrees with a plain set", () => {
    const step = fc.tuple(fc.boolean(), fc.nat(255));
    fc.assert(
      fc.property(fc.array(step), (steps) => {
        const set = new VectorSet();
        const model = new Set<number>();
        for (const [add, element] of steps) {
          if (add) set.add(element);
          else set.delete(element);
          if (add) model.add(element);
          else model.delete(element);
          expect(set.highest).toBe(Math.max(NONE, ...model));
          expect(set.has(element)).toBe(add);
        }
        for (let index = 0; index < 8; index++) {
          let word = 0;
          for (const element of model) if (element >> 5 === index) word += 2 ** (element & 31);
          expect(set.word(index)).toBe(word);
        }
        set.clear();
        expect(set.highest).toBe(NONE);
      }),
    );
  });
});

describe("the arbiter", () => {
  it("hands out the highest vector first", () => {
    fc.assert(
      fc.property(fc.uniqueArray(vector, { minLength: 1 }), (vectors) => {
        const arbiter = new VectorArbiter();
        for (const requested of vectors) arbiter.request(requested, false);
        const taken = vectors.map(() => {
          const next = arbiter.acknowledge();
          expect(arbiter.endOfInterrupt()).toBe(next);
          return next;
        });
        expect(taken).toEqual([...vectors].sort((a, b) => b - a));
        expect(arbiter.next).toBe(NONE);
      }),
    );
  });

  it("holds back vectors of the same class as one in service, and lower ones", () => {
    const arbiter = new VectorArbiter();
    arbiter.request(0x45, false);
    arbiter.acknowledge();
    arbiter.request(0x4f, false);
    expect(arbiter.next).toBe(NONE);
    arbiter.request(0x50, false);
    expect(arbiter.next).toBe(0x50);
    arbiter.acknowledge();
    expect(arbiter.endOfInterrupt()).toBe(0x50);
    expect(arbiter.next).toBe(NONE);
    expect(arbiter.endOfInterrupt()).toBe(0x45);
    expect(arbiter.next).toBe(0x4f);
  });

  it("remembers one request of a vector that is in service", () => {
    const arbiter = new VectorArbiter();
    arbiter.request(0x45, false);
    arbiter.acknowledge();
    arbiter.request(0x45, false);
    arbiter.request(0x45, false);
    arbiter.endOfInterrupt();
    expect(arbiter.acknowledge()).toBe(0x45);
    arbiter.endOfInterrupt();
    expect(arbiter.next).toBe(NONE);
  });

  it("lets only classes above the task priority through", () => {
    const arbiter = new VectorArbiter();
    arbiter.request(0x4f, false);
    arbiter.taskPriority = 0x40;
    expect(arbiter.next).toBe(NONE);
    expect(arbiter.acknowledge()).toBe(NONE);
    expect(arbiter.inService.highest).toBe(NONE);
    arbiter.taskPriority = 0x3f;
    expect(arbiter.next).toBe(0x4f);
  });

  it("has the higher of task and service as the processor's priority", () => {
    const arbiter = new VectorArbiter();
    arbiter.taskPriority = 0x25;
    expect(arbiter.processorPriority).toBe(0x25);
    arbiter.request(0x57, false);
    arbiter.acknowledge();
    expect(arbiter.processorPriority).toBe(0x50);
    arbiter.taskPriority = 0x53;
    expect(arbiter.processorPriority).toBe(0x53);
    arbiter.taskPriority = 0x4f;
    expect(arbiter.processorPriority).toBe(0x50);
  });

  it("keeps the trigger mode of the last request", () => {
    const arbiter = new VectorArbiter();
    arbiter.request(0x45, true);
    expect(arbiter.levelTriggered.has(0x45)).toBe(true);
    arbiter.request(0x45, false);
    expect(arbiter.levelTriggered.has(0x45)).toBe(false);
  });

  it("ends nothing where nothing is in service", () => {
    expect(new VectorArbiter().endOfInterrupt()).toBe(NONE);
  });

  it("forgets everything at a reset", () => {
    const arbiter = new VectorArbiter();
    arbiter.request(0x85, true);
    arbiter.acknowledge();
    arbiter.request(0x95, true);
    arbiter.taskPriority = 0x10;
    arbiter.reset();
    expect(arbiter.next).toBe(NONE);
    expect(arbiter.processorPriority).toBe(0);
    for (const set of [arbiter.requests, arbiter.inService, arbiter.levelTriggered]) {
      expect(set.highest).toBe(NONE);
    }
  });
});
