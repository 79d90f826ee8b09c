import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { remembering, verdict } from "../support/kvm-verdict.ts";
import { type Ended, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, print, tinyGuest } from "../support/tiny-guest.ts";

/** Runs a guest on what `auto` takes. @param remembered of an earlier run; nothing unless given */
async function onAuto(remembered?: string, prefix: readonly string[] = []): Promise<Ended> {
  const args = [tinyGuest(print("x"), exit(5)), "--accel", "auto", "--net", "none", "--stats"];
  return await run(args, { env: remembering(remembered), prefix });
}

/** A floppy whose boot sector writes an exit status: mov dx, 0x501; mov ax, 0x5305; out dx, ax */
function bootSector(): string {
  const disk = new Uint8Array(1440 * 1024);
  disk.set([0xba, 0x01, 0x05, 0xb8, 0x05, 0x53, 0xef, 0xeb, 0xfe]);
  disk.set([0x55, 0xaa], 510);
  const path = join(temporaryFolder(), "disk");
  writeFileSync(path, disk);
  return path;
}

const processorOf = ({ stderr }: Ended): string | undefined => /^cpu +(\w+)$/m.exec(stderr)?.[1];

describe("--accel kvm", () => {
  const onKvm = async (native: boolean, image: string): Promise<Ended> => {
    const env = remembering(JSON.stringify(verdict(native)));
    return await run([image, "--accel", "kvm", "--net", "none", "--stats"], { env });
  };

  it.skipIf(missing("kvm"))("is KVM where that is native, and for unikernels", async () => {
    for (const [native, image] of [
      [true, bootSector()],
      [true, tinyGuest(exit(5))],
      [false, tinyGuest(exit(5))],
    ] as const) {
      const ended = await onKvm(native, image);
      expect(ended.status).toBe(5);
      expect(processorOf(ended)).toBe("kvm");
    }
  });

  it.skipIf(missing("kvm"))("is not where KVM is not fit for operating systems", async () => {
    const ended = await onKvm(false, bootSector());
    expect(ended.status).toBe(5);
    expect(processorOf(ended)).toBe("emu");
    expect(ended.stderr).toMatch(/^solo5-kvm: KVM emulates .* TypeScript runs the guest$/m);
  });
});

describe("--accel auto", () => {
  it.skipIf(missing("kvm"))("takes what doctor says that it takes, and explains", async () => {
    const { stdout } = await run(["doctor"]);
    const choice = /^ok +auto +runs guests with --accel (\w+)/m.exec(stdout)?.[1];
    const ended = await onAuto();
    expect(ended).toMatchObject({ status: 5, stdout: "x" });
    expect(processorOf(ended)).toBe(choice);
    const explained = /^solo5-kvm: KVM emulates privileged code .* TypeScript runs the guest$/m;
    expect(explained.test(ended.stderr)).toBe(choice === "emu");
  });

  it.skipIf(missing("kvm"))("takes KVM where it was found to be native", async () => {
    const ended = await onAuto(JSON.stringify(verdict(true)));
    expect(ended.status).toBe(5);
    expect(processorOf(ended)).toBe("kvm");
    expect(ended.stderr).not.toContain("solo5-kvm:");
  });

  it.skipIf(missing("kvm"))("does not where it was found to be emulated", async () => {
    const ended = await onAuto(JSON.stringify(verdict(false)));
    expect(ended.status).toBe(5);
    expect(processorOf(ended)).toBe("emu");
  });

  it.skipIf(missing("kvm"))(
    "finds out anew after a restart, or when the file is broken",
    async () => {
      const expected = processorOf(await onAuto());
      const other = expected === "emu";
      const stale = { ...verdict(other), boot: "of yesterday" };
      for (const text of [JSON.stringify(stale), "{", "null", "[]", '{"native":true}']) {
        const ended = await onAuto(text);
        expect(ended.status).toBe(5);
        expect(processorOf(ended)).toBe(expected);
      }
    },
  );

  it.skipIf(missing("root", "addon"))("does without KVM where there is none", async () => {
    const script = 'mount -t tmpfs none /dev && mknod -m 666 /dev/null c 1 3 && exec "$@"';
    const ended = await onAuto(undefined, ["unshare", "--mount", "sh", "-c", script, "sh"]);
    expect(ended).toMatchObject({ status: 5, stdout: "x" });
    expect(processorOf(ended)).toBe("emu");
    expect(ended.stderr).toMatch(
      /^solo5-kvm: no KVM \(.*\/dev\/kvm.*\): the processor in TypeScript/,
    );
  });
});
