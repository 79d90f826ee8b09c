import { describe, expect, it } from "vitest";
import { VirtualClock } from "../../src/core/clock.ts";
import { MICROSECOND, MILLISECOND, nanos, SECOND } from "../../src/core/units.ts";
import { ETHERTYPE_ARP } from "../../src/net/ethernet.ts";
import { ICMP_ECHO_REPLY } from "../../src/net/icmp.ts";
import { Pinger, type PingOptions, type PingResult } from "../../src/net/ping.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import { SimulatedGuest } from "./simulated-guest.ts";

function pinging(options: Partial<PingOptions> = {}) {
  const clock = new VirtualClock();
  const network = new UserNetwork();
  const guest = new SimulatedGuest(network);
  const lines: string[] = [];
  const results: PingResult[] = [];
  const pinger = new Pinger({
    network,
    clock,
    count: 3,
    print: (line) => lines.push(line),
    done: (result) => results.push(result),
    ...options,
  });
  /** Runs `action` after `delay` nanoseconds of the guest's work. */
  const later = (delay: number, action: () => void): void => {
    clock.alarm(action).set(nanos(clock.now() + delay));
  };
  return { clock, network, guest, lines, results, pinger, later };
}

describe("ping", () => {
  it("prints what iputils prints", () => {
    const { clock, guest, lines, results, pinger, later } = pinging();
    const delays = [123_456, 1_234_567, 12_345_678];
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      const request = guest.echoRequest(frame);
      if (request !== undefined) later(delays.shift() ?? 0, () => guest.answerEcho(frame));
    };
    pinger.start();
    clock.advance(2 * SECOND);
    expect(lines).toEqual([
      "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.",
      "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.123 ms",
      "64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=1.23 ms",
      "64 bytes from 10.0.0.2: icmp_seq=3 ttl=64 time=12.3 ms",
      "",
      "--- 10.0.0.2 ping statistics ---",
      "3 packets transmitted, 3 received, 0% packet loss, time 412ms",
      "rtt min/avg/max/mdev = 0.123/4.567/12.345/5.518 ms",
    ]);
    expect(results).toEqual([{ sent: 3, received: 3 }]);
  });

  it("ends as soon as the last reply is there", () => {
    const { clock, guest, results, pinger } = pinging({ count: 1 });
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(1 * MICROSECOND);
    expect(results).toEqual([{ sent: 1, received: 1 }]);
  });

  it("waits for the guest to come up, and counts nothing lost before", () => {
    const { clock, network, guest, results, pinger } = pinging();
    guest.room = 0;
    pinger.start();
    clock.advance(4.5 * SECOND);
    // One request waits for the guest's buffers; no more pile up behind it.
    expect(network.pending).toBe(1);
    guest.room = Number.POSITIVE_INFINITY;
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    network.resume();
    clock.advance(SECOND);
    expect(results).toEqual([{ sent: 3, received: 3 }]);
  });

  it("asks by ARP again each second while the guest takes frames without answering", () => {
    const { clock, guest, pinger } = pinging();
    pinger.start();
    clock.advance(3.5 * SECOND);
    expect(guest.payloads(ETHERTYPE_ARP)).toHaveLength(4);
  });

  it("gives up a guest that never comes up", () => {
    const { clock, lines, results, pinger } = pinging({ startTimeout: 2 * SECOND });
    pinger.start();
    clock.advance(3 * SECOND);
    expect(lines).toEqual([
      "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.",
      "From 10.0.0.1 icmp_seq=1 Destination Host Unreachable",
      "",
      "--- 10.0.0.2 ping statistics ---",
      "1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 2000ms",
    ]);
    expect(results).toEqual([{ sent: 1, received: 0 }]);
  });

  it("waits longer for a guest that has no driver yet", () => {
    const { clock, guest, results, pinger } = pinging({ startTimeout: 2 * SECOND });
    guest.room = 0;
    pinger.start();
    clock.advance(6.5 * SECOND);
    expect(results).toEqual([]);
    clock.advance(SECOND);
    expect(results).toEqual([{ sent: 1, received: 0 }]);
  });

  it("waits so long for one that has no driver yet when a debugger lets it go", () => {
    let held = true;
    const options = { startTimeout: 2 * SECOND, held: () => held };
    const { clock, guest, results, pinger } = pinging(options);
    guest.room = 0;
    pinger.start();
    clock.advance(100 * SECOND);
    held = false;
    clock.advance(5.5 * SECOND);
    expect(results).toEqual([]);
    clock.advance(3 * SECOND);
    expect(results).toEqual([{ sent: 1, received: 0 }]);
  });

  it("gives a guest that is held all the time, before it is up and after", () => {
    let held = true;
    const { clock, guest, results, pinger } = pinging({ held: () => held });
    let frames = 0;
    guest.onFrame = (frame) => {
      frames++;
      if (held) return;
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(100 * SECOND);
    expect([frames, results]).toEqual([1, []]);
    held = false;
    clock.advance(1.3 * SECOND);
    held = true;
    clock.advance(100 * SECOND);
    held = false;
    clock.advance(10 * SECOND);
    expect(results).toEqual([{ sent: 3, received: 3 }]);
  });

  it("counts what is lost, and goes on", () => {
    const { clock, guest, lines, results, pinger } = pinging();
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      if (guest.echoRequest(frame)?.sequence !== 2) guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(2 * SECOND);
    expect(results).toEqual([{ sent: 3, received: 2 }]);
    expect(lines.at(-2)).toMatch(/^3 packets transmitted, 2 received, 33.3333% packet loss, time /);
  });

  it("ends one timeout after the last request when replies are missing", () => {
    const { clock, guest, results, pinger } = pinging({ timeout: SECOND, interval: SECOND / 5 });
    guest.onFrame = (frame) => guest.answerArp(frame);
    pinger.start();
    clock.advance(1.39 * SECOND);
    expect(results).toEqual([]);
    clock.advance(0.02 * SECOND);
    expect(results).toEqual([{ sent: 3, received: 0 }]);
  });

  it("marks duplicates and wrong data, and ignores replies to nobody", () => {
    const { clock, guest, lines, results, pinger } = pinging({ count: 1 });
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      const request = guest.echoRequest(frame);
      if (request === undefined) return;
      guest.sendEcho({ ...request, type: ICMP_ECHO_REPLY, sequence: 9 });
      guest.sendEcho({ ...request, type: ICMP_ECHO_REPLY, identifier: 9 });
      const data = request.data.slice();
      data[16] = 0xee;
      guest.sendEcho({ ...request, type: ICMP_ECHO_REPLY, data });
      guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(SECOND);
    expect(lines.slice(1, 4)).toEqual([
      "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.000 ms",
      "wrong data byte #16 should be 0x10 but was 0xee",
      "64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.000 ms (DUP!)",
    ]);
    expect(lines).toContainEqual(expect.stringMatching(/1 received, \+1 duplicates, 0% packet/));
    expect(results).toEqual([{ sent: 1, received: 1 }]);
  });

  it("can be stopped early, once", () => {
    const { clock, guest, lines, results, pinger } = pinging({ count: 100 });
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(300 * MILLISECOND);
    pinger.stop();
    pinger.stop();
    clock.advance(SECOND);
    expect(results).toEqual([{ sent: 2, received: 2 }]);
    expect(lines.filter((line) => line.startsWith("---"))).toHaveLength(1);
  });

  it("tells replies apart after the sequence number wraps", () => {
    const { clock, guest, results, pinger } = pinging({ count: 65_540, interval: 1 });
    guest.onFrame = (frame) => {
      guest.answerArp(frame);
      guest.answerEcho(frame);
    };
    pinger.start();
    clock.advance(SECOND);
    expect(results).toEqual([{ sent: 65_540, received: 65_540 }]);
  });
});
