import { describe, expect, it } from "vitest";
import type { BlockBackend, ConsoleBackend, NetBackend } from "../../src/core/backends.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { HostError } from "../../src/core/errors.ts";
import { OFFLOAD } from "../../src/core/offload.ts";
import { TimedBackends } from "../../src/machine/timed-backends.ts";
import { FakeLink } from "../support/fake-backends.ts";

describe("timed back ends", () => {
  const clock = new VirtualClock();

  const net: NetBackend = {
    mtu: 1400,
    transmit: (frame) => clock.advance(frame.length),
    connect: (receive) => {
      receive(new Uint8Array(1));
    },
    resume: () => clock.advance(1_000),
    close() {},
  };
  const block: BlockBackend = {
    capacity: 1024,
    readOnly: true,
    read: (offset, into) => clock.advance(offset + into.length),
    write: () => {
      clock.advance(7);
      throw new HostError("the disk is full");
    },
    flush: () => clock.advance(9),
    close() {},
  };
  const console: ConsoleBackend = {
    transmit: (byte) => clock.advance(byte),
    connect() {},
    flush: () => {
      clock.advance(1_000);
      return undefined;
    },
    close() {},
  };

  it("add up what devices wait for", () => {
    const timed = new TimedBackends(clock);
    timed.net(net).transmit(new Uint8Array(100));
    timed.block(block).read(512, new Uint8Array(8));
    timed.block(block).flush();
    timed.console(console).transmit(0x41);
    expect(timed.elapsed).toBe(100 + 520 + 9 + 0x41);
  });

  it("leave offloads as they are", () => {
    const link = new FakeLink(1500, OFFLOAD.CSUM);
    const timed = new TimedBackends(clock).net(link);
    const received: (Uint8Array | undefined)[] = [];
    timed.connect((_, header) => received.push(header) > 0);
    const header = Uint8Array.of(1, 0, 0, 0, 0, 0, 34, 0, 16, 0);
    timed.transmit(new Uint8Array(60), header);
    link.deliver(new Uint8Array(60), header);
    timed.setGuestOffloads?.(OFFLOAD.CSUM);
    expect([timed.offloads, link.guestOffloads]).toEqual([OFFLOAD.CSUM, OFFLOAD.CSUM]);
    expect([link.headers, received]).toEqual([[header], [header]]);
    expect(new TimedBackends(clock).net(net).offloads).toBe(0);
  });

  it("leave out what the run loop asks for", () => {
    const timed = new TimedBackends(clock);
    timed.net(net).resume();
    timed.console(console).flush();
    expect(timed.elapsed).toBe(0);
  });

  it("count calls that fail, and let the error through", () => {
    const timed = new TimedBackends(clock);
    expect(() => timed.block(block).write(0, new Uint8Array(1))).toThrow("the disk is full");
    expect(timed.elapsed).toBe(7);
  });

  it("are otherwise what they wrap", () => {
    const timed = new TimedBackends(clock);
    expect(timed.net(net).mtu).toBe(1400);
    expect(timed.block(block)).toMatchObject({ capacity: 1024, readOnly: true });
    const received: number[] = [];
    timed.net(net).connect((frame) => received.push(frame.length) > 0);
    expect(received).toEqual([1]);
  });
});
