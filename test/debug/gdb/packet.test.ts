import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  encodePacket,
  latin1,
  PACKET_SIZE,
  PacketReader,
  type Received,
} from "../../../src/debug/gdb/packet.ts";

const bytes = (text: string): Uint8Array => Uint8Array.from(text, (c) => c.charCodeAt(0));

function read(...pieces: (string | Uint8Array)[]): Received[] {
  const reader = new PacketReader();
  const all: Received[] = [];
  for (const piece of pieces) {
    reader.feed(typeof piece === "string" ? bytes(piece) : piece, (one) => all.push(one));
  }
  return all;
}

const packet = (data: string): Received => ({ kind: "packet", data });

describe("packets", () => {
  test("have a checksum", () => {
    expect(latin1(encodePacket("OK"))).toBe("$OK#9a");
    expect(latin1(encodePacket(""))).toBe("$#00");
    expect(read("$OK#9a")).toEqual([packet("OK")]);
    expect(read("$OK#9b", "$OK#zz")).toEqual([{ kind: "damaged" }, { kind: "damaged" }]);
  });

  test("arrive in pieces, and with other things in between", () => {
    expect(read("+$O", "K#9", "a-\x03junk$OK#9a")).toEqual([
      { kind: "ack" },
      packet("OK"),
      { kind: "nak" },
      { kind: "interrupt" },
      packet("OK"),
    ]);
  });

  test("an interrupt's byte within a packet is data", () => {
    expect(read(encodePacket("X0,1:\x03"))).toEqual([packet("X0,1:\x03")]);
  });

  test("one that breaks off is forgotten with the next", () => {
    expect(read("$m0,", "$OK#9a")).toEqual([packet("OK")]);
  });

  test("one that is too long is refused, and costs no memory", () => {
    const reader = new PacketReader();
    const received: Received[] = [];
    const feed = (text: string): void => reader.feed(bytes(text), (one) => received.push(one));
    feed("$");
    for (let i = 0; i < 100; i++) feed("x".repeat(PACKET_SIZE));
    feed("#00$OK#9a");
    expect(received).toEqual([{ kind: "damaged" }, packet("OK")]);
  });

  test("any data comes out as it went in", () => {
    const anyByte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
    fc.assert(
      fc.property(fc.array(anyByte), (characters) => {
        const data = characters.join("");
        expect(read(encodePacket(data))).toEqual([packet(data)]);
      }),
    );
  });
});
