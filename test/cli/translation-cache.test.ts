import { chmodSync, existsSync, readdirSync, statSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { takesMachineCode } from "../../fallback/wasm/machine-code.ts";
import { run } from "../support/monitor.ts";
import { allowMachineCode } from "../support/optimised.ts";
import { temporaryFolder } from "../support/temporary.ts";
import { exit, tinyGuest } from "../support/tiny-guest.ts";

allowMachineCode();

/** mov ecx, 2000000; again: add eax, ecx; dec ecx; jnz again */
const LOOP = [0xb9, 0x80, 0x84, 0x1e, 0, 0x01, 0xc8, 0xff, 0xc9, 0x75, 0xfa];
/** The same 400 million times. */
const LONG_LOOP = LOOP.with(3, 0xd7).with(4, 0x17);

describe("what is translated", () => {
  let cache: string;
  let image: string;
  beforeEach(() => {
    cache = temporaryFolder();
    image = tinyGuest(LOOP, exit(5));
  });

  /** What `--stats` says of the JIT. */
  async function jit(...options: string[]): Promise<string> {
    const args = [image, "--accel", "emu", "--net", "none", "--stats", ...options];
    const { status, stderr } = await run(args, { env: { ...process.env, XDG_CACHE_HOME: cache } });
    expect(status).toBe(5);
    return /^jit +(.*)$/m.exec(stderr)?.[1] ?? "";
  }

  const folder = (): string => join(cache, "solo5-kvm", "translations");
  const file = (): string => join(folder(), readdirSync(folder())[0] ?? "");
  const ANEW = /^1 regions of /;
  const KEPT = /^1 regions of an earlier run(, 1 as machine code)?; 0 regions/;

  it("is there in the next run of the image, for its user alone", async () => {
    expect(await jit()).toMatch(ANEW);
    expect(statSync(file()).mode & 0o777).toBe(0o600);
    expect(await jit()).toMatch(KEPT);
  });

  it.skipIf(!takesMachineCode())("is there as machine code if V8 has optimised it", async () => {
    image = tinyGuest(LONG_LOOP, exit(5));
    expect(await jit()).toMatch(ANEW);
    expect(await jit()).toMatch(/^1 regions of an earlier run, 1 as machine code; 0 regions/);
  });

  it("is neither kept nor used with --no-cache, --deterministic or --no-jit", async () => {
    for (const option of ["--no-cache", "--deterministic", "--no-jit"]) await jit(option);
    expect(existsSync(folder())).toBe(false);
    await jit();
    for (const option of ["--no-cache", "--deterministic"]) expect(await jit(option)).toMatch(ANEW);
  });

  it("is not taken from a file that others may write, or that was cut off", async () => {
    await jit();
    chmodSync(file(), 0o620);
    expect(await jit()).toMatch(ANEW);
    chmodSync(file(), 0o600);
    expect(await jit()).toMatch(KEPT);
    for (const size of [200, 10, 0]) {
      truncateSync(file(), size);
      expect(await jit()).toMatch(ANEW);
    }
  });

  it("is not missed where nothing can be kept", async () => {
    cache = image;
    expect(await jit()).toMatch(ANEW);
    expect(await jit()).toMatch(ANEW);
  });
});
