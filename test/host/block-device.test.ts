import { execFileSync } from "node:child_process";
import { closeSync, constants, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { BlockFile } from "../../src/host/block-file.ts";
import { run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, tinyGuest } from "../support/tiny-guest.ts";

const SIZE = 1 << 20;

describe.skipIf(missing("loop"))("a block device of the host", () => {
  let device = "";
  beforeEach(() => {
    const file = join(temporaryFolder(), "disk");
    writeFileSync(file, new Uint8Array(SIZE));
    device = execFileSync("losetup", ["--find", "--show", file], { encoding: "utf8" }).trim();
  });
  afterEach(() => {
    execFileSync("losetup", ["--detach", device]);
  });

  const capacity = (readOnly: boolean): number => {
    const disk = new BlockFile(device, { readOnly });
    disk.close();
    return disk.capacity;
  };

  it("is as large as it says, and can be written", () => {
    const disk = new BlockFile(device, { readOnly: false });
    expect(disk.capacity).toBe(SIZE);
    disk.write(512, new Uint8Array(512).fill(7));
    const back = new Uint8Array(512);
    disk.read(512, back);
    expect(back[511]).toBe(7);
    disk.close();
  });

  it("asks for ,ro if it is read-only, though it opens for writing", () => {
    execFileSync("blockdev", ["--setro", device]);
    expect(() => capacity(false)).toThrow(/\(EROFS\): it cannot be written: add ",ro"/);
    expect(capacity(true)).toBe(SIZE);
    execFileSync("blockdev", ["--setrw", device]);
  });

  it("is not written while it is in use by others, as if the host has it mounted", () => {
    const holder = openSync(device, constants.O_RDONLY | constants.O_EXCL);
    try {
      expect(() => capacity(false)).toThrow(/\(EBUSY\): it is mounted, or in use otherwise/);
      expect(capacity(true)).toBe(SIZE);
    } finally {
      closeSync(holder);
    }
  });

  it("has no size without /sys, which is no fault of ours", async () => {
    const prefix = ["unshare", "--mount", "sh", "-c"].concat(
      'mount -t tmpfs none /sys && exec "$@"',
      "sh",
    );
    const ended = await run([tinyGuest(exit(0)), "--block", device], { prefix });
    expect(ended.stderr).toMatch(/cannot read .*size \(ENOENT\): block devices need .*\/sys\n$/);
    expect(ended.status).toBe(125);
  });
});
