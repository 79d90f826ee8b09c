import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { Kernel } from "../support/kernel.ts";

const says = (text: string): string => `
  #include <solo5.h>
  #include <stdio.h>
  int solo5_app_main(const struct solo5_start_info *info)
  {
      (void)info;
      puts("${text}");
      return 0;
  }`;

it("makes the program of the folder it is given, of two with one name too", async () => {
  const kernel = new Kernel();
  const first = kernel.program("first/app", { "main.c": says("of the first") });
  const second = kernel.program("second/app", { "main.c": says("of the second") });
  for (const [folder, is, isNot] of [
    [first, "of the first", "of the second"],
    [second, "of the second", "of the first"],
    [`${first}/`, "of the first", "of the second"],
  ] as const) {
    expect(await kernel.make(folder)).toMatchObject({ status: 0, stderr: "" });
    expect([kernel.has("app", is), kernel.has("app", isNot)]).toEqual([true, false]);
  }
});

it("compiles a program with flags of its own, which it makes anew for others", async () => {
  const kernel = new Kernel();
  const folder = kernel.program("flags", {
    "main.c": `#ifdef __AVX2__${says("with AVX2")}
#else${says("without")}
#endif
`,
  });
  for (const [flags, text] of [
    [["CFLAGS=-mavx2"], "with AVX2"],
    [[], "without"],
  ] as const) {
    expect(await kernel.make(folder, ...flags)).toMatchObject({ status: 0, stderr: "" });
    expect(kernel.has("flags", text)).toBe(true);
  }
});

it("does nothing where nothing has changed", async () => {
  const kernel = new Kernel();
  const folder = kernel.program("app", { "main.c": says("once") });
  expect((await kernel.make(folder)).stdout).toContain("main.o");
  expect((await kernel.make(folder)).stdout).not.toContain("app");
});

it("leaves out a source that is gone", async () => {
  const kernel = new Kernel();
  const folder = kernel.program("app", {
    "main.c": says("main"),
    "more.c": 'const char *more(void);\nconst char *more(void) { return "the other file"; }',
  });
  expect((await kernel.make(folder)).status).toBe(0);
  expect(kernel.has("app", "the other file")).toBe(true);
  rmSync(join(folder, "more.c"));
  expect((await kernel.make(folder)).status).toBe(0);
  expect(kernel.has("app", "the other file")).toBe(false);
});

it("makes one of ours by its folder", async () => {
  const kernel = new Kernel();
  expect(await kernel.make("apps/hello")).toMatchObject({ status: 0, stderr: "" });
});

it("says what it cannot make a program of", async () => {
  const kernel = new Kernel();
  const refusal = async (folder: string): Promise<string> => {
    const { status, stderr } = await kernel.make(folder);
    expect(status).toBe(2);
    return stderr;
  };
  const source = { "main.c": says("never") };
  for (const name of ["hello", "kernel"]) {
    const folder = kernel.program(`mine/${name}`, source);
    expect(await refusal(folder)).toContain(
      `APP is ${folder}: ${name} is a program of ours, call yours otherwise.`,
    );
  }
  for (const folder of [kernel.program("app", { "main.cc": "" }), join(kernel.root, "missing")]) {
    expect(await refusal(folder)).toContain(
      `APP is ${folder}: there is no such folder with a .c file.`,
    );
  }
  const spaces = kernel.program("my app", source);
  expect(await refusal(spaces)).toContain(`APP is '${spaces}': make knows no names with spaces.`);
});
