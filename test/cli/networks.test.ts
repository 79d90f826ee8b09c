import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it, vi } from "vitest";
import { openNetworks } from "../../src/cli/networks.ts";
import { VirtualClock } from "../../src/core/clock.ts";
import { type Ipv4Address, PROTOCOL_UDP } from "../../src/net/ipv4.ts";
import { serialiseUdp } from "../../src/net/udp.ts";
import { GUEST, HOST, SimulatedGuest } from "../net/simulated-guest.ts";
import { TcpPeer, tcpOf } from "../net/tcp-peer.ts";

const said = vi.hoisted((): string[] => []);
vi.mock("../../src/cli/messages.ts", () => ({ say: (line: string) => said.push(line) }));

it("the first packet that does not get out is told of in one line, of all networks", () => {
  const parts = { clock: new VirtualClock(), published: [], failed: () => {} };
  const networks = openNetworks([{ kind: "user" }, { kind: "user" }], parts);
  const guests = networks.devices.map(({ backend }) => new SimulatedGuest(backend));
  for (const [destinationPort, guest] of [53, 123].flatMap((port) =>
    guests.map((each) => [port, each] as const),
  )) {
    const addresses = { source: GUEST, destination: 0x0101_0101 as Ipv4Address };
    const datagram = { sourcePort: 4000, destinationPort, payload: new Uint8Array(1) };
    const payload = serialiseUdp(datagram, addresses);
    guest.sendPacket({ ...addresses, protocol: PROTOCOL_UDP, payload });
  }
  expect(said).toEqual([
    "the guest asks for udp port 53 of 1.1.1.1, where the built-in network does not lead: --net user,nat lets it out",
  ]);
  networks.close();
});

it("the end of the network resets connections outside, and tells the guest nothing", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const accepted = once(server, "connection");
  const parts = { clock: new VirtualClock(), published: [], failed: () => {} };
  const networks = openNetworks([{ kind: "user", nat: true }], parts);
  const [device] = networks.devices;
  if (device === undefined) throw new Error("there is no device");
  const guest = new SimulatedGuest(device.backend);
  const { port } = server.address() as AddressInfo;
  const peer = new TcpPeer(guest, { remote: HOST, remotePort: port });
  const answered = new Promise<void>((resolve) => {
    guest.onFrame = () => resolve();
  });
  peer.connect();
  const [socket] = (await accepted) as [Socket];
  await answered;
  for (const segment of guest.received.map(tcpOf)) if (segment !== undefined) peer.take(segment);
  expect(peer.open).toBe(true);
  const count = guest.received.length;
  const reset = new Promise((resolve) => socket.once("error", resolve));
  networks.close();
  expect(await reset).toMatchObject({ code: "ECONNRESET" });
  expect(guest.received).toHaveLength(count);
  server.close();
});
