import { join } from "node:path";
import { expect, it } from "vitest";
import { Kernel } from "../support/kernel.ts";
import { describeOnEach, execute, ROOT, run } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";

const FOLDER = join(ROOT, "test/guest/vectors");
const FLAGS = ["-O3", "-march=x86-64-v3"];

describeOnEach.skipIf(missing("x86-64-v3"))("a unikernel compiled for x86-64-v3", () => {
  it("computes what the same code does as a program of the host", async () => {
    const kernel = new Kernel();
    const program = join(kernel.root, "digest");
    const cc = ["cc", ...FLAGS, "-DNATIVE", "-o", program, join(FOLDER, "digest.c")];
    expect(await execute(cc)).toMatchObject({ status: 0 });
    const made = await kernel.make(FOLDER, `CFLAGS=${FLAGS.join(" ")}`);
    expect(made).toMatchObject({ status: 0, stderr: "" });
    const native = await execute([program]);
    const guest = await run([kernel.image("vectors")]);
    expect(native.stdout).toMatch(/^([0-9a-f]+\n){3}$/);
    expect(guest.status).toBe(0);
    expect(guest.stdout.replaceAll("\r", "")).toContain(native.stdout);
  });
});
