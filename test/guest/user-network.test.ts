import { createHash, randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import { type AddressInfo, connect, createServer } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { linuxInitrd } from "../support/linux-guest.ts";
import { describeOnEach, execute, image, type Process, run, start } from "../support/monitor.ts";
import { linuxKernel, missing, networkModules } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

/** Seconds: on a busy host Linux takes many of them. */
const LIMIT = 110;
const OPTIONS = { timeout: (LIMIT + 10) * 1000 };

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

/** The port of the host that became the guest's. */
async function publishedPort(guest: Process, guestPort: number): Promise<number> {
  const pattern = new RegExp(`port (\\d+) of 127\\.0\\.0\\.1 is the guest's port ${guestPort}\\n`);
  await guest.said(pattern);
  return Number(pattern.exec(guest.stderr)?.[1]);
}

/** Sends a message until it is answered. */
async function ask(port: number, question: string): Promise<string> {
  const socket = createSocket("udp4");
  onTestFinished(() => void socket.close());
  const answer = once(socket, "message");
  const timer = setInterval(() => socket.send(question, port, "127.0.0.1"), 200);
  const [bytes] = await answer;
  clearInterval(timer);
  return String(bytes);
}

/** Serves one page, on this host only; returns the port. */
async function serve(page: Uint8Array): Promise<number> {
  const server = createHttpServer((_, response) => response.end(page));
  onTestFinished(() => void server.close());
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A name server that knows one name, 192.0.2.7; returns the port. */
async function serveNames(): Promise<number> {
  const socket = createSocket("udp4", (question, from) => {
    let end = 12;
    while (question[end] !== 0) end += (question[end] ?? 0) + 1;
    const isAddress = question.readUInt16BE(end + 1) === 1;
    const header = Buffer.from(question.subarray(0, 12));
    header.writeUInt16BE(0x8180, 2);
    header.writeUInt16BE(isAddress ? 1 : 0, 6);
    const answer = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7];
    const parts = [header, question.subarray(12, end + 5), Buffer.from(isAddress ? answer : [])];
    socket.send(Buffer.concat(parts), from.port, from.address);
  });
  onTestFinished(() => void socket.close());
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return socket.address().port;
}

const DHCP = `#!/bin/sh
echo "dhcp $1 $ip $router $dns"
[ $1 = bound ] || exit 0
ifconfig eth0 $ip netmask $subnet
route add default gw $router
echo nameserver $dns > /etc/resolv.conf
`;

describe("Linux on the built-in network", () => {
  it.skipIf(missing("linux", "linuxModules"))(
    "gets an address, serves a page by a published port, and fetches one and a name from the host",
    OPTIONS,
    async () => {
      const page = randomBytes(3 << 20);
      const [webPort, namePort] = [await serve(page), await serveNames()];
      const servers = join(temporaryFolder(), "servers.cjs");
      writeFileSync(servers, `require("node:dns").setServers(["127.0.0.1:${namePort}"]);`);
      const initrd = linuxInitrd({
        modules: networkModules() ?? [],
        applets: [
          ...["udhcpc", "ifconfig", "route", "dd", "httpd", "sha256sum", "wget", "nslookup"],
          ...["poweroff", "cat"],
        ],
        files: { "bin/dhcp": DHCP },
        script: [
          "ifconfig lo up; ifconfig eth0 up",
          "udhcpc -n -q -s /bin/dhcp",
          "dd if=/dev/urandom of=/page bs=1M count=3 2> /dev/null",
          "sha256sum /page",
          "httpd -p 80 -h / && echo serving",
          "wget -q -O /got http://10.0.0.1:$web/ && sha256sum /got",
          "wget -q -O /none http://10.0.0.1:$none/",
          "nslookup example.test",
        ],
      });
      const none = await freePort();
      const capture = join(temporaryFolder(), "linux.pcap");
      const guest = start(
        [
          ...[linuxKernel() ?? "", "--initrd", initrd, "--accel", "emu", "-m", "128"],
          ...["--net", "user,nat", "-p", "0:80", "--pcap", capture],
          ...["--", "console=ttyS0", "quiet", `web=${webPort}`, `none=${none}`],
        ],
        {
          limit: LIMIT,
          stdin: "pipe",
          env: { ...process.env, NODE_OPTIONS: `--require ${servers}` },
        },
      );
      const port = await publishedPort(guest, 80);
      await guest.printed("serving");
      expect(guest.stdout).toContain("dhcp bound 10.0.0.2 10.0.0.1 10.0.0.1");
      const response = await fetch(`http://127.0.0.1:${port}/page`);
      expect(guest.stdout).toContain(sha256(new Uint8Array(await response.arrayBuffer())));
      await guest.printed("/ # ");
      expect(guest.stdout).toContain(`${sha256(page)}  /got`);
      expect(guest.stdout).toContain("Connection refused");
      expect(guest.stdout).toMatch(/Name:\s+example\.test\s+Address: 192\.0\.2\.7/);
      guest.type("poweroff -f\n");
      expect((await guest.ended).status).toBe(0);
      if (missing("tshark")) return;
      // Segments are cut up by nobody, either way, and what is recorded of them is whole and right.
      const lengths = await dissect(capture, "tcp", "ip.src", "frame.len");
      const longest = (from: string): number =>
        Math.max(
          ...lengths.filter(([source]) => source === from).map(([, length]) => Number(length)),
        );
      expect(longest("10.0.0.1")).toBeGreaterThan(10_000);
      expect(longest("10.0.0.2")).toBeGreaterThan(10_000);
      expect(await dissect(capture, "tcp.checksum.status == 1", "ip.src")).not.toEqual([]);
      const wrong = ["ip", "tcp", "udp"].map((protocol) => `${protocol}.checksum.status == 0`);
      expect(await dissect(capture, ["_ws.malformed", ...wrong].join(" || "), "frame")).toEqual([]);
    },
  );
});

/** The fields of frames that match, as Wireshark reads them. */
async function dissect(file: string, filter: string, ...fields: string[]): Promise<string[][]> {
  const checks = ["ip", "tcp", "udp"].flatMap((protocol) => [
    "-o",
    `${protocol}.check_checksum:TRUE`,
  ]);
  const shown = fields.flatMap((field) => ["-e", field]);
  const { stdout, status, stderr } = await execute([
    ...["tshark", "-r", file, ...checks, "-Y", filter, "-T", "fields", ...shown],
  ]);
  expect(status, stderr).toBe(0);
  const rows = stdout.split("\n").filter((line) => line !== "");
  return rows.map((row) => row.split("\t"));
}

/** Nobody listens there. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}

describeOnEach("udp.iso", () => {
  it("echoes what comes to a published port", async () => {
    const guest = start([image("udp"), "--publish", "0:7/udp", "--", "quiet", "limit=1"]);
    const port = await publishedPort(guest, 7);
    expect(await ask(port, "hello, guest")).toBe("hello, guest");
    expect(await guest.ended).toMatchObject({ status: 0 });
  });

  it("leaves a connection, which it knows nothing of, waiting until it ends", async () => {
    const guest = start([image("udp"), "-p", "0:80", "-p", "0:7/udp", "--", "quiet", "limit=1"]);
    const [tcp, udp] = [await publishedPort(guest, 80), await publishedPort(guest, 7)];
    const socket = connect(tcp, "127.0.0.1");
    const broken = new Promise((resolve) => socket.once("error", resolve));
    await ask(udp, "the end");
    expect((await guest.ended).status).toBe(0);
    expect(await broken).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("a port that cannot be had", () => {
  it("is refused before the run, with cause and remedy", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await once(server, "listening");
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const refused = await run([image("hello"), "--accel", "emu", "-p", `${port}:80`]);
    expect(refused).toMatchObject({
      status: 125,
      stdout: "",
      stderr: `solo5-kvm: cannot publish tcp port ${port} of 127.0.0.1 (EADDRINUSE): somebody uses it already; name another with --publish, or 0 for any that is free\n`,
    });
    const elsewhere = await run([image("hello"), "--accel", "emu", "-p", "192.0.2.1:0:80/udp"]);
    expect(elsewhere.status).toBe(125);
    expect(elsewhere.stderr).toContain("udp port 0 of 192.0.2.1 (EADDRNOTAVAIL): this host has no");
  });
});
