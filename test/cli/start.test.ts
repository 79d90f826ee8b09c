import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Script } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { packageRoot } from "../../src/host/addon.ts";
import { image, PROGRAM } from "../support/monitor.ts";

const ROOT = packageRoot();
/** Tells at the end what Node has loaded of itself. */
const LIST_MODULES = `process.on("exit", () =>
  require("node:fs").writeFileSync(process.env.LIST, process.moduleLoadList.join("\\n")));`;
const BUNDLES = ["bundle", "fallback"];

describe("the built command", () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "solo5-kvm-start-"));
    mkdirSync(join(folder, "dist"));
    for (const file of ["package.json", "binding.gyp", "dist/package.json"]) {
      copyFileSync(join(ROOT, file), join(folder, file));
    }
    for (const file of ["solo5-kvm.js", ...BUNDLES.map((name) => `${name}.js`)]) {
      copyFileSync(join(ROOT, "dist", file), join(folder, "dist", file));
    }
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const version = (): { status: number | null; stdout: string; stderr: string } =>
    spawnSync(process.execPath, [join(folder, "dist", "solo5-kvm.js"), "--version"], {
      encoding: "utf8",
    });
  const { version: expected } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));

  it.each(BUNDLES)("comes with code that this V8 accepts: %s", (name) => {
    const filename = join(ROOT, "dist", `${name}.js`);
    const cachedData = readFileSync(join(ROOT, "dist", `${name}.code`));
    const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData });
    expect(script.cachedDataRejected).toBe(false);
  });

  it("starts without its code", () => {
    expect(version()).toMatchObject({ status: 0, stdout: `${expected}\n`, stderr: "" });
  });

  it("starts with code that V8 refuses", () => {
    for (const name of BUNDLES) {
      writeFileSync(join(folder, "dist", `${name}.code`), "of another version");
    }
    expect(version()).toMatchObject({ status: 0, stdout: `${expected}\n`, stderr: "" });
  });

  it.each([
    ["alone", []],
    ["while a debugger may come", ["--gdb", "unix:SOCKET"]],
  ])("loads none of Node's modules for sockets and terminals: %s", (_, options) => {
    const list = join(folder, "modules");
    writeFileSync(join(folder, "list.cjs"), LIST_MODULES);
    const given = options.map((option) => option.replace("SOCKET", join(folder, "gdb")));
    const command = ["-r", join(folder, "list.cjs"), PROGRAM, image("hello"), "--accel", "emu"];
    const { stdout } = spawnSync(process.execPath, [...command, ...given], {
      encoding: "latin1",
      env: { ...process.env, LIST: list },
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(stdout).toContain("Hello");
    const modules = readFileSync(list, "utf8").split("\n");
    expect(modules).toContain("NativeModule fs");
    expect(modules).not.toContain("NativeModule net");
    expect(modules).not.toContain("NativeModule tty");
    expect(existsSync(join(folder, "gdb"))).toBe(false);
  });

  it("ends a short run before V8 has optimised much", () => {
    const command = ["--trace-opt", PROGRAM, image("hello"), "--accel", "emu"];
    const { stdout } = spawnSync(process.execPath, command, { encoding: "latin1" });
    expect(stdout).toContain("Hello");
    // With V8's own budget: about twenty.
    expect(stdout.match(/\[completed optimizing/g)?.length ?? 0).toBeLessThan(10);
  });
});
