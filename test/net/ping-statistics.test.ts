import { describe, expect, it } from "vitest";
import { formatRoundTrip, PingStatistics } from "../../src/net/ping-statistics.ts";

describe("a round trip's time", () => {
  it.each([
    [0, "0.000 ms"],
    [46, "0.046 ms"],
    [999, "0.999 ms"],
    [1_000, "1.00 ms"],
    [1_004, "1.00 ms"],
    [1_005, "1.01 ms"],
    [9_994, "9.99 ms"],
    [9_995, "10.0 ms"],
    [99_949, "99.9 ms"],
    [99_950, "100 ms"],
    [1_234_567, "1235 ms"],
  ])("of %i µs has three significant digits", (micros, text) => {
    expect(formatRoundTrip(micros)).toBe(text);
  });
});

describe("the statistics block", () => {
  it("has no loss and no times when nothing was sent", () => {
    expect(new PingStatistics().summary("10.0.0.2", 0)).toEqual([
      "",
      "--- 10.0.0.2 ping statistics ---",
      "0 packets transmitted, 0 received",
    ]);
  });

  it("rounds loss to six digits and times to microseconds", () => {
    const statistics = new PingStatistics();
    statistics.transmitted = 3;
    statistics.addReply(20);
    expect(statistics.summary("host", 407).slice(2)).toEqual([
      "3 packets transmitted, 1 received, 66.6667% packet loss, time 407ms",
      "rtt min/avg/max/mdev = 0.020/0.020/0.020/0.000 ms",
    ]);
  });
});
