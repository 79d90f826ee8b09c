import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { expect, test, vi } from "vitest";
import { encodePacket } from "../../src/debug/gdb/packet.ts";
import { socketPath } from "../support/gdb.ts";
import { describeOnEach, image, type Process, start } from "../support/monitor.ts";
import { SeededRandom } from "../support/random.ts";

const PACKETS = 10_000;
/** Of one debugger, which then goes without a word. */
const PACKETS_EACH = 100;

/** Beginnings of packets that do not change the guest's registers or memory, nor end it. */
const HARMLESS = [
  ...["?", "g", "p10", "p", "m100000,40", "m", "x100000,40", "mffffffffffffff00,200", "qC"],
  ...["Z0,110000,1", "z0,110000,1", "Z1,110a60,1", "Z2,11a000,8", "z2,11a000,8", "Z3,", "Z4,0,0"],
  ...["s", "c", "vCont;s:1", "vCont;c", "vCont;t", "vCont?", "vCont;r110000,110100:1", "C05", "!"],
  ...["qSupported:swbreak+", "QStartNoAckMode", "qXfer:features:read:target.xml:0,fff"],
  ...["qXfer:exec-file:read::0,fff", "qXfer:memory-map:read::0,fff", "qfThreadInfo", "Hg0", "T1"],
  ...["vFile:setfs:0", "vFile:open:2f,0,0", "vFile:pread:0,1000,0", "vFile:close:0", "qOffsets"],
  ...["qMemoryRegionInfo:110000", "qHostInfo", "jThreadsInfo", "vMustReplyEmpty", "qSymbol::"],
  ...["info", "info mem 110000", "info idt", "info devices", "xp /8w 110000", "nonsense"].map(
    (command) => `qRcmd,${Buffer.from(command).toString("hex")}`,
  ),
];
/** What mutations must not make of them: these write, end the guest, or start it anew. */
const HARMFUL = /^(?:[GPMXkR]|vKill|vRun|[csCS].*[0-9a-f]{3}|qRcmd)/;

/** A packet of the list, or something that once was one. */
function packet(random: SeededRandom): Uint8Array {
  const text = HARMLESS[random.below(HARMLESS.length)] as string;
  const letters = [...text];
  const kind = random.below(5);
  if (kind === 0) letters.splice(random.below(letters.length), 1 + random.below(4));
  if (kind === 1) letters[random.below(letters.length)] = String.fromCharCode(random.below(256));
  if (kind === 2) letters.push(..."0123456789abcdef".repeat(random.below(200)));
  const changed = letters.join("");
  const bytes = encodePacket(kind < 3 && HARMFUL.test(changed) ? text : changed);
  if (random.below(10) === 0) return bytes.subarray(0, random.below(bytes.length));
  return random.below(20) === 0 ? Uint8Array.of(3, ...bytes) : bytes;
}

const repliesOf = (guest: Process): number => guest.stdout.split("bytes from").length;

async function connected(path: string): Promise<Socket> {
  const client = connect(path).on("error", () => {});
  client.resume();
  await vi.waitUntil(() => !client.connecting || client.destroyed, { timeout: 20_000 });
  return client;
}

describeOnEach("debuggers that talk nonsense and go", () => {
  test("leave the guest as it was", { timeout: 120_000 }, async () => {
    const path = socketPath();
    const guest = start([image("kernel"), "--gdb", `unix:${path}`, "--ping", "100000"], {
      limit: 110,
    });
    await guest.printed("bytes from");
    const random = new SeededRandom(4);
    for (let sent = 0; sent < PACKETS; sent += PACKETS_EACH) {
      const client = await connected(path);
      for (let i = 0; i < PACKETS_EACH; i++) client.write(packet(random));
      await new Promise<void>((resolve) => client.write("", () => resolve()));
      await delay(random.below(20));
      client.destroy();
    }
    const before = repliesOf(guest);
    await vi.waitUntil(() => repliesOf(guest) >= before + 2, { timeout: 20_000 });
    guest.kill("SIGTERM");
    expect((await guest.ended).status).toBe(143);
    expect(guest.stderr.trimEnd().split("\n").length).toBe(1);
  });
});
