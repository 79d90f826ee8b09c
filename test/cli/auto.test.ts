import { describe, expect, it } from "vitest";
import { remembering, verdict } from "../support/kvm-verdict.ts";
import { type Ended, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { exit, print, tinyGuest } from "../support/tiny-guest.ts";

/** Runs a guest on what `auto` takes. @param remembered of an earlier run; nothing unless given */
async function onAuto(remembered?: string, prefix: readonly string[] = []): Promise<Ended> {
  const args = [tinyGuest(print("x"), exit(5)), "--accel", "auto", "--net", "none", "--stats"];
  return await run(args, { env: remembering(remembered), prefix });
}

const processorOf = ({ stderr }: Ended): string | undefined => /^cpu +(\w+)$/m.exec(stderr)?.[1];

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
