import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { linuxInitrd } from "../support/linux-guest.ts";
import { command, describeOnEach, execute, image } from "../support/monitor.ts";
import { GUEST, HOST, NetworkNamespace } from "../support/network-namespace.ts";
import { linuxKernel, missing, networkModules } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";

const READY = `Serving ping on ${GUEST}`;

describeOnEach.skipIf(missing("tap", "ip", "ping"))("kernel.iso on a tap", () => {
  it("answers ARP and ping of every size, and 1,000 floods of each without loss", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([image("kernel"), "--net", "tap:t0", "--", "quiet"]);
    await guest.printed(READY);
    for (const size of ["8", "56", "1472"]) {
      const few = await net.ping("-c", "3", "-i", "0.2", "-s", size);
      expect(few.stdout).toContain("3 packets transmitted, 3 received, 0% packet loss");
      const many = await net.ping("-f", "-c", "1000", "-s", size);
      expect(many.stdout).toContain("1000 packets transmitted, 1000 received, 0% packet loss");
    }
    expect(net.ip("neighbour")).toMatch(/10\.0\.0\.2 dev t0 lladdr 52:54:00:12:34:56/);
    guest.kill("SIGTERM");
    expect(await guest.ended).toMatchObject({ status: 143, stderr: "" });
    expect(net.hasLink("t0")).toBe(true);
  });

  it("makes the tap when there is none, and takes it along", async () => {
    const net = new NetworkNamespace();
    const guest = net.start([image("kernel"), "--net", "tap:fresh0"]);
    await guest.printed(READY);
    expect(net.hasLink("fresh0")).toBe(true);
    net.ip("address", "add", `${HOST}/24`, "dev", "fresh0");
    expect((await net.ping("-c", "2", "-i", "0.2")).status).toBe(0);
    await guest.printed(`got ping 2 from ${HOST}...sending ping reply`);
    guest.kill("SIGINT");
    expect((await guest.ended).status).toBe(130);
    expect(net.hasLink("fresh0")).toBe(false);
  });

  it("uses the address and the MAC that it is given", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0", "192.168.7.1/24");
    const guest = net.start([
      ...[image("kernel"), "--net", "service0=tap:t0,mac=02:00:00:ab:cd:ef"],
      ...["--", "ip=192.168.7.9"],
    ]);
    await guest.printed("Serving ping on 192.168.7.9");
    const ping = await net.execute(["ping", "-n", "-c", "2", "-i", "0.2", "192.168.7.9"]);
    expect(ping.status).toBe(0);
    expect(net.ip("neighbour")).toContain("02:00:00:ab:cd:ef");
  });

  it("has several network devices, of which the first is service0", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([
      ...[image("kernel"), "--net", "tap:t0", "--net", "user", "--net", "tap:t1"],
      ...["--stats", "--timeout", "20", "--", "limit=3"],
    ]);
    await guest.printed(READY);
    expect((await net.ping("-c", "3", "-i", "0.2")).status).toBe(0);
    const ended = await guest.ended;
    expect(ended.status).toBe(0);
    for (const line of [/^net 0 .* out [4-9] frames/m, /^net 1 .* out 0 frames/m, /^net 2 /m]) {
      expect(ended.stderr).toMatch(line);
    }
  });

  it("has --ping on the built-in network beside a tap", async () => {
    const net = new NetworkNamespace();
    const ended = await net.start([
      ...[image("kernel"), "--net", "user", "--net", "tap:t0", "--ping", "2"],
    ]).ended;
    expect(ended).toMatchObject({ status: 0, stderr: "" });
    expect(ended.stdout).toContain("2 received, 0% packet loss");
  });

  it("refuses a tap that another process uses, which goes on", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([image("kernel"), "--net", "tap:t0"]);
    await guest.printed(READY);
    const second = await net.start([image("kernel"), "--net", "tap:t0"]).ended;
    expect(second.status).toBe(125);
    expect(second.stderr).toMatch(/^solo5-kvm: cannot open tap t0 \(EBUSY\): .*\n$/);
    expect((await net.ping("-c", "1")).status).toBe(0);
  });

  it("ends with a clear line when the tap is deleted under it", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([image("kernel"), "--net", "tap:t0"]);
    await guest.printed(READY);
    net.ip("link", "delete", "t0");
    const ended = await guest.ended;
    expect(ended.status).toBe(125);
    expect(ended.stderr).toMatch(/^solo5-kvm: [^\n]*t0[^\n]*\n$/);
  });

  it("survives frames of every kind and size", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([image("kernel"), "--net", "tap:t0", "--", "quiet"]);
    await guest.printed(READY);
    // Raw Ethernet frames of all lengths, of random contents behind a plausible header.
    const flood = await net.execute(["python3", "-c", RANDOM_FRAMES]);
    expect(flood.stderr).toBe("");
    expect((await net.ping("-c", "3", "-i", "0.2")).status).toBe(0);
  });
});

const RANDOM_FRAMES = `
import random, socket
random.seed(5)
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(("t0", 0))
guest = bytes.fromhex("525400123456")
for i in range(3000):
    to = guest if i % 3 else b"\\xff" * 6
    kind = random.choice([b"\\x08\\x00", b"\\x08\\x06", b"\\x86\\xdd", random.randbytes(2)])
    body = random.randbytes(random.randrange(0, 1501))
    if kind == b"\\x08\\x00" and len(body) > 24:
        # IPv4 to the guest, with header lengths, total lengths and protocols at random.
        body = bytes([0x40 | random.randrange(16)]) + body[1:9]
        body += bytes([random.choice([1, 6, 17])]) + body[:2]
        body += bytes([10, 0, 0, 1, 10, 0, 0, 2]) + random.randbytes(random.randrange(1400))
    s.send(to + b"\\x02\\x00\\x00\\x00\\x00\\x01" + kind + body)
`;

describeOnEach.skipIf(missing("tap", "ip"))("udp.iso on a tap", () => {
  it("echoes, discards and counts datagrams of every size", { timeout: 60_000 }, async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const guest = net.start([image("udp"), "--net", "tap:t0", "--", "quiet"]);
    await guest.printed("Serving UDP");
    const client = await net.execute(["python3", "-c", UDP_CLIENT, GUEST]);
    expect(client.stderr).toBe("");
    const counts = Object.fromEntries(
      client.stdout
        .trim()
        .split("\n")
        .map((line) => line.split(" ")),
    );
    expect(counts).toMatchObject({ echoed: "1473", discarded: "20" });
    expect(counts["echoed-bytes"]).toBe(String((1472 * 1473) / 2));
    expect(counts["discarded-bytes"]).toBe(String(20 * 1000));
  });
});

/** Sends one datagram of each size and wants it back unchanged; then 20 to the sink. */
const UDP_CLIENT = `
import socket, sys
guest = sys.argv[1]
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.settimeout(5)
for size in range(1473):
    data = bytes((size * 7 + i) & 0xff for i in range(size))
    s.sendto(data, (guest, 7))
    assert s.recvfrom(2000) == (data, (guest, 7)), size
for i in range(20):
    s.sendto(bytes(1000), (guest, 9))
s.sendto(b"?", (guest, 10000))
sys.stdout.write(s.recvfrom(2000)[0].decode())
`;

describe("Linux on a tap", () => {
  it.skipIf(missing("tap", "ip", "linux", "linuxModules"))(
    "gives and takes large segments that nobody has made checksums of",
    { timeout: 120_000 },
    async () => {
      const net = new NetworkNamespace();
      net.addTap("t0");
      const folder = temporaryFolder();
      const page = randomBytes(3 << 20);
      writeFileSync(join(folder, "page"), page);
      net.spawn(["python3", "-m", "http.server", "-d", folder, "-b", HOST, "8000"]);
      const initrd = linuxInitrd({
        modules: networkModules() ?? [],
        applets: ["ifconfig", "dd", "httpd", "sha256sum", "wget", "poweroff"],
        script: [
          `ifconfig eth0 ${GUEST}`,
          "dd if=/dev/urandom of=/page bs=1M count=3 2> /dev/null",
          "sha256sum /page",
          `wget -q -O /got http://${HOST}:8000/page; sha256sum /got`,
          "httpd -p 80 -h / && echo serving",
        ],
      });
      const guest = net.start(
        [
          ...[linuxKernel() ?? "", "--initrd", initrd, "--accel", "emu", "-m", "128"],
          ...["--net", "tap:t0", "--stats", "--", "console=ttyS0", "quiet"],
        ],
        { limit: 110, stdin: "pipe" },
      );
      await guest.printed("serving");
      const fetched = await net.execute(["python3", "-c", FETCH, `http://${GUEST}/page`]);
      expect(fetched.stderr).toBe("");
      expect(guest.stdout).toContain(`${fetched.stdout}  /page`);
      const sum = createHash("sha256").update(page).digest("hex");
      expect(guest.stdout).toContain(`${sum}  /got`);
      guest.type("poweroff -f\n");
      const { stderr, status } = await guest.ended;
      expect(status).toBe(0);
      // With frames of 1514 bytes it would be 2,200 each way.
      const counts = /^net 0 +in (\d+) frames.* out (\d+) frames.* dropped 0$/m.exec(stderr);
      expect(Number(counts?.[1])).toBeLessThan(1500);
      expect(Number(counts?.[2])).toBeLessThan(1500);
    },
  );
});

const FETCH = `
import hashlib, sys, urllib.request
page = urllib.request.urlopen(sys.argv[1]).read()
sys.stdout.write(hashlib.sha256(page).hexdigest())
`;

describeOnEach.skipIf(missing("tap", "ip", "ping", "tshark"))("--pcap", () => {
  const dissect = async (file: string, filter: string, ...fields: string[]): Promise<string[]> => {
    const { stdout, status, stderr } = await execute([
      ...["tshark", "-r", file, "-o", "ip.check_checksum:TRUE", "-Y", filter, "-T", "fields"],
      ...fields.flatMap((field) => ["-e", field]),
    ]);
    expect(status, stderr).toBe(0);
    return stdout.trim().split("\n");
  };

  it("records both directions of a tap with nanoseconds, as Wireshark reads them", async () => {
    const net = new NetworkNamespace();
    net.addTap("t0");
    const file = join(temporaryFolder(), "tap.pcap");
    const guest = net.start([
      ...[image("kernel"), "--net", "tap:t0", "--pcap", file, "--", "limit=4"],
    ]);
    await guest.printed(READY);
    await net.ping("-c", "4", "-i", "0.2", "-s", "1472");
    expect((await guest.ended).status).toBe(0);
    const requests = await dissect(file, "icmp.type == 8", "ip.src", "ip.dst", "icmp.seq");
    expect(requests).toEqual([1, 2, 3, 4].map((seq) => `${HOST}\t${GUEST}\t${seq}`));
    const replies = await dissect(file, "icmp.type == 0", "ip.src", "icmp.seq", "frame.len");
    expect(replies).toEqual([1, 2, 3, 4].map((seq) => `${GUEST}\t${seq}\t1514`));
    const times = await dissect(file, "icmp", "frame.time_epoch");
    expect(times).toEqual([...times].sort());
    expect(Math.abs(Number(times[0]) - Date.now() / 1000)).toBeLessThan(30);
    expect(await dissect(file, "arp.opcode == 2", "arp.src.proto_ipv4")).toContain(GUEST);
    expect(await dissect(file, "_ws.malformed || ip.checksum.status == 0", "frame.number")).toEqual(
      [""],
    );
  });

  it("records the built-in network too", async () => {
    const file = join(temporaryFolder(), "user.pcap");
    const ended = await execute([...command([image("kernel"), "--ping", "3", "--pcap", file])]);
    expect(ended.status).toBe(0);
    expect(await dissect(file, "icmp.type == 8", "icmp.seq")).toEqual(["1", "2", "3"]);
    expect(await dissect(file, "icmp.type == 0", "icmp.seq")).toEqual(["1", "2", "3"]);
  });
});
