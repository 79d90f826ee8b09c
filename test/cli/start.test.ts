import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { cpus, tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Script } from "node:vm";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { takesMachineCode } from "../../fallback/wasm/machine-code.ts";
import { packageRoot } from "../../src/host/addon.ts";
import { remembering, verdict } from "../support/kvm-verdict.ts";
import { image, PROGRAM } from "../support/monitor.ts";
import { allowMachineCode } from "../support/optimised.ts";
import { missing } from "../support/requirements.ts";

// The command is started so, and V8 compares flags.
allowMachineCode();

const ROOT = packageRoot();
/** What the shell gives Node. */
const NATIVES = "--allow-natives-syntax";
/** Tells at the end which of our files have become scripts. */
const LIST_SCRIPTS = `const vm = require("node:vm"), { basename } = require("node:path"), names = [];
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    names.push(basename(options.filename, ".js"));
  }
};
process.on("exit", () => require("node:fs").writeFileSync(process.env.LIST, names.join()));`;
/** Tells at the end which files have been read as a whole. */
const LIST_FILES = `const fs = require("node:fs"), { basename } = require("node:path"), names = [];
const { readFileSync } = fs;
fs.readFileSync = (path, ...others) => {
  names.push(basename(String(path)));
  return readFileSync(path, ...others);
};
process.on("exit", () => fs.writeFileSync(process.env.LIST, names.join()));`;
/** Tells whether the end is asked for, with which status. */
const NOTE_EXIT = `const { writeFileSync } = require("node:fs"), { exit } = process;
writeFileSync(process.env.LIST, "none");
process.exit = () => {
  writeFileSync(process.env.LIST, String(process.exitCode));
  exit();
};`;
/** Tells at the end what Node has loaded of itself. */
const LIST_MODULES = `process.on("exit", () =>
  require("node:fs").writeFileSync(process.env.LIST, process.moduleLoadList.join("\\n")));`;
/** Linux Documentation/ABI/testing/sysfs-devices-system-cpu */
const ONLINE = "/sys/devices/system/cpu/online";
const BUNDLES = readdirSync(join(ROOT, "dist"))
  .filter((name) => /^(bundle|fallback)(\.\w+)?\.js$/.test(name))
  .map((name) => name.replace(/\.js$/, ""));

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

  it("starts Node by its name, with one thread for V8 where there are no more than two processors", () => {
    const program = join(folder, "dist", "solo5-kvm.js");
    writeFileSync(join(folder, "node"), `#!/bin/sh\nprintf '<%s>' "$@"\n`, { mode: 0o755 });
    const given = ["a b.iso", "", "--", "$HOME"];
    const { stdout, stderr } = spawnSync(program, given, {
      encoding: "utf8",
      env: { PATH: folder, online: "0" },
    });
    const pool = cpus().length <= 2 && process.platform === "linux" ? ["--v8-pool-size=1"] : [];
    const wanted = [NATIVES, ...pool, program, ...given].map((each) => `<${each}>`).join("");
    expect({ stdout, stderr }).toEqual({ stdout: wanted, stderr: "" });
  });

  it.each([
    ["0", ["--v8-pool-size=1"]],
    ["0-1", ["--v8-pool-size=1"]],
    ["0-2", []],
    ["0,2-3", []],
    [undefined, []],
  ])("knows by Linux's list of processors how many there are: %s", (list, options) => {
    const [program, online] = [join(folder, "command"), join(folder, "online")];
    const text = readFileSync(join(folder, "dist", "solo5-kvm.js"), "utf8");
    writeFileSync(program, text.replace(ONLINE, online), { mode: 0o755 });
    writeFileSync(join(folder, "node"), "#!/bin/sh\necho $2\n", { mode: 0o755 });
    if (list !== undefined) writeFileSync(online, `${list}\n`);
    const { stdout, stderr } = spawnSync(program, [], { encoding: "utf8", env: { PATH: folder } });
    expect({ stdout, stderr }).toEqual({ stdout: `${[...options, program][0]}\n`, stderr: "" });
    expect(text).toContain(ONLINE);
  });

  it("is a command of its own", () => {
    const { status, stdout } = spawnSync(PROGRAM, ["--version"], {
      encoding: "utf8",
      env: { PATH: dirname(process.execPath) },
    });
    expect({ status, stdout }).toEqual({ status: 0, stdout: `${expected}\n` });
  });

  it("starts with code that V8 refuses", () => {
    for (const name of BUNDLES) {
      writeFileSync(join(folder, "dist", `${name}.code`), "of another version");
    }
    expect(version()).toMatchObject({ status: 0, stdout: `${expected}\n`, stderr: "" });
  });

  /**
   * Runs a guest that ends soon, as where KVM is native; returns what a module of ours notes of that.
   */
  const notedOf = (guest: string, module: string, ...options: readonly string[]): string => {
    const [file, list] = [join(folder, "note.cjs"), join(folder, "list")];
    writeFileSync(file, module);
    const command = [NATIVES, "-r", file, PROGRAM, image(guest), ...options];
    const { stdout } = spawnSync(process.execPath, command, {
      encoding: "latin1",
      env: { ...remembering(JSON.stringify(verdict(true))), LIST: list },
      stdio: ["ignore", "pipe", "pipe"],
    });
    expect(stdout).toContain(guest === "hello" ? "Hello" : "ABORT");
    return readFileSync(list, "utf8");
  };
  const noted = notedOf.bind(undefined, "hello");

  it.skipIf(!takesMachineCode())("comes with an interpreter that this V8 has optimised", () => {
    const read = noted(LIST_FILES, "--accel", "emu").split(",");
    expect(read.filter((name) => name.startsWith("interpreter"))).toEqual([
      "interpreter-inline.code",
    ]);
  });

  it.skipIf(missing("addon")).each([
    ["alone", []],
    ["while a debugger may come", ["--gdb", "unix:SOCKET"]],
  ])("loads none of Node's modules for sockets, terminals and streams: %s", (_, options) => {
    const given = options.map((option) => option.replace("SOCKET", join(folder, "gdb")));
    const modules = noted(LIST_MODULES, "--accel", "emu", ...given).split("\n");
    expect(modules).toContain("NativeModule fs");
    for (const name of ["net", "tty", "stream"]) {
      expect(modules).not.toContain(`NativeModule ${name}`);
    }
    expect(existsSync(join(folder, "gdb"))).toBe(false);
  });

  it("loads no bundle that it does not need", () => {
    expect(noted(LIST_SCRIPTS, "--accel", "emu")).toBe("bundle,fallback");
    const crash = notedOf("exception", LIST_SCRIPTS, "--accel", "emu", "--", "divide");
    expect(crash).toBe("bundle,fallback,bundle.crash,fallback.text");
    const outside = noted(LIST_SCRIPTS, "--accel", "emu", "--net", "user,nat");
    expect(outside).toBe("bundle,fallback,bundle.gateway");
    if (missing("kvm")) return;
    expect(noted(LIST_SCRIPTS, "--accel", "kvm")).toBe("bundle,bundle.kvm");
  });

  it.skipIf(missing("addon"))("loads little more while nobody comes to debug", () => {
    const address = `unix:${join(folder, "gdb")}`;
    const scripts = noted(LIST_SCRIPTS, "--accel", "emu", "--gdb", address);
    expect(scripts).toBe("bundle,bundle.gdb,fallback");
  });

  it.skipIf(missing("addon"))("does not wait at its end for what V8 compiles", () => {
    expect(noted(NOTE_EXIT, "--accel", "emu")).toBe("0");
  });
});
