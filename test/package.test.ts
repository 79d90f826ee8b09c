import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { takesMachineCode } from "../fallback/wasm/machine-code.ts";
import { execute, ROOT } from "./support/monitor.ts";
import { allowMachineCode } from "./support/optimised.ts";
import { temporaryFolder } from "./support/temporary.ts";

allowMachineCode();

it("the package has what a user needs, and no sources or tests of the monitor", async () => {
  const packed = await execute(["npm", "pack", "--dry-run", "--json", "--ignore-scripts"], {
    cwd: ROOT,
  });
  const [{ files }] = JSON.parse(packed.stdout) as [{ files: { path: string }[] }];
  const paths = files.map(({ path }) => path);
  expect(paths).toEqual(
    expect.arrayContaining([
      ...["README.md", "LICENSE", "docs/architecture.md", "kernel/README.md"],
      ...["dist/solo5-kvm.js", "dist/bundle.js", "dist/bundle.code"],
      ...["dist/fallback.js", "dist/fallback.code"],
      ...[
        "dist/package.json",
        "dist/interpreter.wasm",
        "dist/interpreter-inline.wasm",
        "tools/interpreter-code.cjs",
        "dist/src/package.json",
      ],
      ...["dist/src/index.js", "dist/src/index.d.ts", "dist/fallback/package.json"],
      ...["binding.gyp", "native/build.js", "native/addon.cc", "native/kvm.c"],
      ...["kernel/Makefile", "kernel/link.ld", "kernel/include/solo5.h", "kernel/boot/loader.ld"],
    ]),
  );
  expect(paths.filter((path) => path.startsWith("kernel/build/")).sort()).toEqual([
    ...["kernel/build/kernel.iso", "kernel/build/loader", "kernel/build/solo5.boot"],
  ]);
  const unwanted = /^(src|test|bench|tools|fallback|build|node_modules)\/|\.map$|tsbuildinfo$/;
  expect(paths.filter((path) => unwanted.test(path))).toEqual(["tools/interpreter-code.cjs"]);
  // That is of one Node: it is made where the package is installed.
  expect(paths).not.toContain("dist/interpreter-inline.code");
});

it("the package works where it is unpacked", async () => {
  const folder = temporaryFolder();
  const pack = ["npm", "pack", "--ignore-scripts", "--pack-destination", folder];
  expect((await execute(pack, { cwd: ROOT })).status).toBe(0);
  await execute(["sh", "-c", "tar xzf *.tgz"], { cwd: folder });
  const [command, iso, api] = [
    "dist/solo5-kvm.js",
    "kernel/build/kernel.iso",
    "dist/src/index.js",
  ].map((path) => join(folder, "package", path));
  expect(await execute([`${command}`, "inspect", `${iso}`])).toMatchObject({
    status: 0,
    stderr: "",
  });
  const optimise = join(folder, "package", "tools", "interpreter-code.cjs");
  expect(await execute([process.execPath, optimise])).toMatchObject({ status: 0, stderr: "" });
  const optimised = join(folder, "package", "dist", "interpreter-inline.code");
  expect(existsSync(optimised)).toBe(takesMachineCode());
  const hello = await execute([`${command}`, `${iso}`, "--accel", "emu", "--ping", "1"]);
  expect(hello).toMatchObject({ status: 0, stderr: "" });
  const user = `import { createMachine } from "${api}"; console.log(typeof createMachine);`;
  const used = await execute([process.execPath, "--input-type=module", "-e", user]);
  expect(used).toMatchObject({ status: 0, stdout: "function\n" });
});
