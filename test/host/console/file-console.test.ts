import { openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { HostError } from "../../../src/core/errors.ts";
import { OutputBuffer } from "../../../src/core/output-buffer.ts";
import { FileConsole } from "../../../src/host/console/file-console.ts";
import { temporaryFolder } from "../../support/temporary.ts";

const open = (path: string, failed: (error: HostError) => void): FileConsole =>
  new FileConsole({ path, fd: openSync(path, "w") }, failed);

const send = (to: { transmit(byte: number): void }, text: string): void => {
  for (const byte of Buffer.from(text)) to.transmit(byte);
};

it("writes whole lines at once, and the rest when flushed or full", () => {
  const written: string[] = [];
  const buffer = new OutputBuffer((bytes) => written.push(Buffer.from(bytes).toString()));
  for (const byte of Buffer.from("one\ntwo\nthr")) buffer.put(byte);
  expect(written).toEqual(["one\n", "two\n"]);
  buffer.flush();
  buffer.flush();
  expect(written.slice(2)).toEqual(["thr"]);
  for (let i = 0; i < 5000; i++) buffer.put(0x78);
  expect(written.slice(3).map(({ length }) => length)).toEqual([4096]);
});

it("writes a line when it is complete, and holds nothing back once closed", () => {
  const path = join(temporaryFolder(), "serial");
  const console = open(path, () => expect.fail("nothing failed"));
  send(console, "first\nsecond");
  expect(readFileSync(path, "utf8")).toBe("first\n");
  console.close();
  expect(readFileSync(path, "utf8")).toBe("first\nsecond");
});

it("says that writing failed", () => {
  const failures: HostError[] = [];
  const console = open("/dev/full", (error) => failures.push(error));
  send(console, "lost\n");
  expect(failures.map(({ errno }) => errno)).toEqual(["ENOSPC"]);
  console.close();
});
