import { spawnSync } from "node:child_process";
import {
  chmodSync,
  closeSync,
  lstatSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { GuestError, HostError } from "../../src/core/errors.ts";
import { BlockFile } from "../../src/host/block-file.ts";
import { ImageFile } from "../../src/host/image-file.ts";
import { openOutputs } from "../../src/host/output-files.ts";
import { PcapFile } from "../../src/host/pcap-file.ts";
import { replaceFile } from "../../src/host/replace-file.ts";
import { missing } from "../support/requirements.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "solo5-kvm-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

const at = (name: string): string => join(folder, name);

function file(name: string, content: Uint8Array | string): string {
  writeFileSync(at(name), content);
  return at(name);
}

function hostError(action: () => unknown): HostError {
  try {
    action();
  } catch (error) {
    if (error instanceof HostError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}

/** Root may do anything to files whatever their permissions say: as somebody else, then. */
function unprivileged(action: () => void): void {
  const root = process.geteuid?.() === 0;
  if (root) process.seteuid?.(65_534);
  try {
    action();
  } finally {
    if (root) process.seteuid?.(0);
  }
}

const openDescriptors = (): number => readdirSync("/proc/self/fd").length;

describe("a disk in a file", () => {
  it("keeps what is written, at its place", () => {
    const path = file("disk", new Uint8Array(2048));
    const disk = new BlockFile(path, { readOnly: false });
    expect(disk.capacity).toBe(2048);
    disk.write(512, new Uint8Array(512).fill(7));
    disk.flush();
    const back = new Uint8Array(1024);
    disk.read(256, back);
    expect(back).toEqual(new Uint8Array(1024).fill(7, 256, 768));
    disk.close();
    disk.close();
    expect(readFileSync(path)[512]).toBe(7);
  });

  it.each([
    ["is missing", () => at("no"), /cannot open disk .*no \(ENOENT\): there is no such file/],
    ["is a folder", () => folder, /\(EISDIR\): it is a folder, not a file/],
    ["is empty", () => file("empty", ""), /empty is empty: give it a size/],
    ["has an odd size", () => file("odd", "1234567"), /odd has 7 bytes, not a multiple of 512/],
    ["is a character device", () => "/dev/null", /neither a file nor a block device/],
  ])("is refused when it %s, and left closed", (_what, path, message) => {
    const before = openDescriptors();
    expect(hostError(() => new BlockFile(path(), { readOnly: false })).message).toMatch(message);
    expect(openDescriptors()).toBe(before);
  });

  it.skipIf(missing("addon"))("has one writer, or any number of readers", () => {
    const path = file("disk", new Uint8Array(512));
    const open = (readOnly: boolean): BlockFile => new BlockFile(path, { readOnly });
    const writer = open(false);
    for (const readOnly of [false, true]) {
      expect(hostError(() => open(readOnly)).message).toMatch(/disk .* is in use/);
    }
    writer.close();
    const readers = [open(true), open(true)];
    expect(hostError(() => open(false)).message).toMatch(/disk .* is in use/);
    for (const reader of readers) reader.close();
    open(false).close();
  });

  it("does not wait at a pipe", () => {
    expect(spawnSync("mkfifo", [at("pipe")]).status).toBe(0);
    const error = hostError(() => new BlockFile(at("pipe"), { readOnly: true }));
    expect(error.message).toMatch(/neither a file nor a block device/);
  });

  it("that fails while in use says so", () => {
    const disk = new BlockFile(file("disk", new Uint8Array(1024)), { readOnly: false });
    truncateSync(at("disk"), 512);
    expect(hostError(() => disk.read(0, new Uint8Array(1024))).message).toMatch(/shorter than/);
    disk.close();
    expect(hostError(() => disk.write(0, new Uint8Array(512))).errno).toBe("EBADF");
  });

  it("cannot be written when it was opened read-only", () => {
    const disk = new BlockFile(file("disk", new Uint8Array(512)), { readOnly: true });
    expect(disk.readOnly).toBe(true);
    expect(hostError(() => disk.write(0, new Uint8Array(512))).errno).toBe("EBADF");
    disk.close();
  });

  it("that is read-only asks for ,ro", () => {
    const path = file("disk", new Uint8Array(512));
    chmodSync(folder, 0o755);
    chmodSync(path, 0o444);
    unprivileged(() => {
      const error = hostError(() => new BlockFile(path, { readOnly: false }));
      expect(error.message).toMatch(
        /\(EACCES\): it cannot be written: add ",ro" to use it read-only/,
      );
      expect(new BlockFile(path, { readOnly: true }).capacity).toBe(512);
    });
  });
});

describe("an image file", () => {
  it("is read where it is asked for", () => {
    const image = new ImageFile(file("image", "0123456789"));
    expect(image.size).toBe(10);
    expect(Buffer.from(image.read(3, 4)).toString()).toBe("3456");
    expect(image.read(10, 0)).toEqual(new Uint8Array(0));
    image.close();
    image.close();
  });

  it.each([
    [8, 3],
    [-1, 2],
    [0, 1e15],
    [1e15, 1],
  ])("has no bytes from %i, %i long", (offset, length) => {
    const image = new ImageFile(file("image", "0123456789"));
    expect(() => image.read(offset, length)).toThrow(GuestError);
    image.close();
  });

  it("is at fault, and not the host, when it shrinks", () => {
    const image = new ImageFile(file("image", "0123456789"));
    truncateSync(at("image"), 5);
    expect(() => image.read(0, 10)).toThrow(GuestError);
    image.close();
  });

  it.each([
    ["is missing", () => at("no"), "ENOENT", /there is no such file/],
    ["is under a file", () => join(file("image", ""), "x"), "ENOTDIR", /not a folder/],
    ["is a folder", () => folder, undefined, /is a folder$/],
  ])("is refused when it %s", (_what, path, errno, message) => {
    const error = hostError(() => new ImageFile(path()));
    expect(error.errno).toBe(errno);
    expect(error.message).toMatch(message);
  });
});

describe("a capture file", () => {
  const open = (path: string, onError: (error: HostError) => void): PcapFile =>
    new PcapFile({ path, fd: openSync(path, "w") }, onError);

  const failing = (): [HostError[], (error: HostError) => void] => {
    const errors: HostError[] = [];
    return [errors, (error) => errors.push(error)];
  };

  it("has all pieces in order, small and large", () => {
    const [errors, onError] = failing();
    const capture = open(at("capture"), onError);
    const pieces = [10, 70_000, 1, 65_536, 65_535, 2].map((length, i) =>
      new Uint8Array(length).fill(i + 1),
    );
    for (const piece of pieces) capture.write(piece);
    capture.close();
    capture.close();
    expect(readFileSync(at("capture")).equals(Buffer.concat(pieces))).toBe(true);
    expect(errors).toEqual([]);
  });

  it("can be read by others soon after a frame", async () => {
    const capture = open(at("capture"), failing()[1]);
    capture.write(Uint8Array.of(1, 2, 3));
    await expect.poll(() => readFileSync(at("capture")).length).toBe(3);
    capture.close();
  });

  it("reports a full disk once, and the guest goes on", () => {
    const [errors, onError] = failing();
    const capture = open("/dev/full", onError);
    for (let i = 0; i < 3; i++) {
      capture.write(Uint8Array.of(1));
      capture.flush();
    }
    capture.close();
    expect(errors.map((error) => error.message)).toEqual([
      "the capture /dev/full ends here (ENOSPC): it cannot be written any further",
    ]);
  });
});

describe("files for output", () => {
  it("are made, or emptied", () => {
    const { old, fresh } = openOutputs({ old: file("old", "much text"), fresh: at("fresh") });
    for (const output of [old, fresh]) writeSync(output?.fd ?? -1, "new");
    expect([readFileSync(at("old"), "utf8"), readFileSync(at("fresh"), "utf8")]).toEqual([
      ...["new", "new"],
    ]);
    for (const output of [old, fresh]) closeSync(output?.fd ?? -1);
  });

  it("that nobody wants are not there", () => {
    expect(openOutputs({ capture: undefined })).toEqual({});
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each([
    ["is under no folder", () => join(folder, "no", "file"), "ENOENT"],
    ["is a folder", () => folder, "EISDIR"],
    ["is under a file", () => join(file("notes", ""), "file"), "ENOTDIR"],
  ])("are as before when one %s", (_what, path, errno) => {
    file("old", "text");
    symlinkSync("target", at("link"));
    const refused = path();
    const [names, descriptors] = [readdirSync(folder), openDescriptors()];
    const error = hostError(() =>
      openOutputs({ old: at("old"), fresh: at("fresh"), link: at("link"), refused }),
    );
    expect(error.message).toBe(
      `cannot write the refused ${refused} (${errno}): ` +
        "name a file that you may write, in a folder that exists",
    );
    expect(readdirSync(folder)).toEqual(names);
    expect(readFileSync(at("old"), "utf8")).toBe("text");
    expect(openDescriptors()).toBe(descriptors);
  });

  it("may be devices", () => {
    const { full } = openOutputs({ full: "/dev/full" });
    closeSync(full?.fd ?? -1);
  });
});

describe("a file that is replaced", () => {
  it("is made, or has the new content and the permissions of before", () => {
    replaceFile(at("new"), Buffer.from("new"));
    const old = file("old", "much older text");
    chmodSync(old, 0o640);
    replaceFile(old, Buffer.from("new"));
    expect([readFileSync(at("new"), "utf8"), readFileSync(old, "utf8")]).toEqual(["new", "new"]);
    expect(statSync(old).mode & 0o777).toBe(0o640);
    expect(readdirSync(folder).sort()).toEqual(["new", "old"]);
  });

  it("may be behind a link, which stays", () => {
    file("old", "text");
    symlinkSync("old", at("link"));
    replaceFile(at("link"), Buffer.from("new"));
    expect(readFileSync(at("old"), "utf8")).toBe("new");
    expect(lstatSync(at("link")).isSymbolicLink()).toBe(true);
  });

  it("may be a device, which stays", () => {
    replaceFile("/dev/null", Buffer.from("new"));
    expect(statSync("/dev/null").isCharacterDevice()).toBe(true);
    expect(() => replaceFile("/dev/full", Buffer.from("new"))).toThrow("ENOSPC");
  });

  it("is as before when it must not be written", () => {
    chmodSync(folder, 0o777);
    chmodSync(file("old", "text"), 0o444);
    unprivileged(() => expect(() => replaceFile(at("old"), Buffer.from("new"))).toThrow("EACCES"));
    expect(readFileSync(at("old"), "utf8")).toBe("text");
    expect(readdirSync(folder)).toEqual(["old"]);
  });
});
