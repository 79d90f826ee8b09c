import { expect, it } from "vitest";
import { execute, ROOT } from "./support/monitor.ts";

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
      ...["dist/src/index.js", "dist/src/index.d.ts"],
      ...["binding.gyp", "native/build.js", "native/addon.cc", "native/kvm.c"],
      ...["kernel/Makefile", "kernel/link.ld", "kernel/include/solo5.h", "kernel/boot/loader.ld"],
    ]),
  );
  expect(paths.filter((path) => path.startsWith("kernel/build/")).sort()).toEqual([
    ...["kernel/build/kernel.iso", "kernel/build/loader", "kernel/build/solo5.boot"],
  ]);
  const unwanted = /^(src|test|bench|tools|fallback|build|node_modules)\/|\.map$|tsbuildinfo$/;
  expect(paths.filter((path) => unwanted.test(path))).toEqual([]);
});
