import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { VirtualClock } from "../../src/core/clock.ts";
import { OFFLOAD } from "../../src/core/offload.ts";
import { ARP_REQUEST } from "../../src/net/arp.ts";
import { Capture } from "../../src/net/capture.ts";
import { ETHERTYPE_IPV4, serialiseEthernet } from "../../src/net/ethernet.ts";
import { ICMP_ECHO_REQUEST } from "../../src/net/icmp.ts";
import { PROTOCOL_TCP, serialiseIpv4, WHOLE_PACKET } from "../../src/net/ipv4.ts";
import { pcapFileHeader, pcapRecord } from "../../src/net/pcap.ts";
import { TCP_FLAG } from "../../src/net/tcp.ts";
import { UserNetwork } from "../../src/net/user-network.ts";
import { FakeLink } from "../support/fake-backends.ts";
import { missing } from "../support/requirements.ts";
import { GUEST, GUEST_MAC, HOST, HOST_MAC, SimulatedGuest } from "./simulated-guest.ts";
import { serialiseTcp, tcpOf } from "./tcp-peer.ts";

const TCP = { sequence: 1, acknowledgement: 1, flags: TCP_FLAG.ACK, window: 1000 };
const PACKET = {
  ...WHOLE_PACKET,
  identification: 1,
  protocol: PROTOCOL_TCP,
  options: new Uint8Array(0),
};

/** 2026-01-02T03:04:05.123456Z, and a little: doubles hold it to 256 ns. */
const WALL = 1_767_323_045_123_456_000;

function captured() {
  const clock = new VirtualClock(WALL);
  const pieces: Uint8Array[] = [];
  const capture = new Capture(clock, (bytes) => pieces.push(bytes));
  const guest = new SimulatedGuest(capture.wrap(new UserNetwork()));
  return { clock, pieces, guest };
}

describe("a capture", () => {
  it("starts with libpcap's header for nanoseconds and Ethernet", () => {
    const view = new DataView(pcapFileHeader().buffer);
    expect(view.byteLength).toBe(24);
    expect(view.getUint32(0, true)).toBe(0xa1b23c4d);
    expect([view.getUint16(4, true), view.getUint16(6, true)]).toEqual([2, 4]);
    expect(view.getUint32(20, true)).toBe(1);
  });

  it("stamps a frame with seconds and nanoseconds", () => {
    const view = new DataView(pcapRecord(5_000_000_123, Uint8Array.of(1, 2, 3)).buffer);
    expect(view.getUint32(0, true)).toBe(5);
    expect(view.getUint32(4, true)).toBe(123);
    expect(view.getUint32(8, true)).toBe(3);
    expect(view.getUint32(12, true)).toBe(3);
    expect(new Uint8Array(view.buffer, 16)).toEqual(Uint8Array.of(1, 2, 3));
  });

  it("has the request before its reply, and no frame that the guest refused", () => {
    const { pieces, guest } = captured();
    guest.sendArp(ARP_REQUEST, HOST);
    expect(pieces).toHaveLength(3);
    guest.room = 0;
    guest.sendArp(ARP_REQUEST, HOST);
    expect(pieces).toHaveLength(4);
  });

  it("passes on what is undone, and records frames with the checksums that they lack", () => {
    const pieces: Uint8Array[] = [];
    const capture = new Capture(new VirtualClock(WALL), (bytes) => pieces.push(bytes));
    const link = new FakeLink(1500, OFFLOAD.CSUM | OFFLOAD.TSO4);
    const wrapped = capture.wrap(link);
    const received: (Uint8Array | undefined)[] = [];
    wrapped.connect((_, header) => received.push(header) > 0);
    wrapped.setGuestOffloads?.(OFFLOAD.CSUM);
    expect([wrapped.offloads, link.guestOffloads]).toEqual([link.offloads, OFFLOAD.CSUM]);

    const addresses = { source: GUEST, destination: HOST };
    const ports = { sourcePort: 1, destinationPort: 2 };
    const payload = new Uint8Array(40_000).fill(0xa5);
    const segment = serialiseTcp({ ...TCP, ...ports }, payload, addresses, true);
    const packet = serialiseIpv4({ ...PACKET, ...addresses, payload: segment });
    const frame = serialiseEthernet({
      ...{ destination: HOST_MAC, source: GUEST_MAC },
      ...{ type: ETHERTYPE_IPV4, payload: packet },
    });
    const sent = frame.slice();
    const header = Uint8Array.of(1, 1, 54, 0, 0xb4, 5, 34, 0, 16, 0);
    wrapped.transmit(frame, header);
    link.deliver(frame, header);
    expect([link.headers, received]).toEqual([[header], [header]]);
    expect(Buffer.compare(frame, sent)).toBe(0);
    expect(Buffer.compare(link.sent[0] as Uint8Array, sent)).toBe(0);
    const records = pieces.slice(1).map((piece) => tcpOf(piece.subarray(16)));
    expect(records.map((record) => record?.payload.length)).toEqual([40_000, 40_000]);
  });

  it.skipIf(missing("tshark"))("is read by tshark", () => {
    const { clock, pieces, guest } = captured();
    guest.sendArp(ARP_REQUEST, HOST);
    clock.advance(1_024_000);
    const data = new Uint8Array(56);
    guest.sendEcho({ type: ICMP_ECHO_REQUEST, identifier: 1, sequence: 3, data });
    const fields = ["frame.time_epoch", "_ws.col.Protocol", "_ws.col.Info"];
    const folder = mkdtempSync(join(tmpdir(), "solo5-kvm-"));
    onTestFinished(() => rmSync(folder, { recursive: true }));
    const file = join(folder, "guest.pcap");
    writeFileSync(file, Buffer.concat(pieces));
    const args = ["-r", file, "-T", "fields", ...fields.flatMap((field) => ["-e", field])];
    const { stdout, stderr } = spawnSync("tshark", args, { encoding: "utf8" });
    const rows = stdout.trimEnd().split("\n");
    expect(
      rows.map((row) => row.split("\t")),
      stderr,
    ).toEqual([
      ["1767323045.123456000", "ARP", "Who has 10.0.0.1? Tell 10.0.0.2"],
      ["1767323045.123456000", "ARP", "10.0.0.1 is at 52:55:0a:00:00:01"],
      [
        "1767323045.124480000",
        "ICMP",
        expect.stringMatching(/Echo \(ping\) request .*seq=3\/768, ttl=64$/),
      ],
      [
        "1767323045.124480000",
        "ICMP",
        expect.stringMatching(/Echo \(ping\) reply .*\(request in 3\)/),
      ],
    ]);
  });
});
