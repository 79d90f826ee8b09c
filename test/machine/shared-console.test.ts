import { expect, it } from "vitest";
import { SharedConsole } from "../../src/machine/shared-console.ts";
import { FakeConsole } from "../support/fake-console.ts";

it("two devices write to one console, and one of them hears it", () => {
  const host = new FakeConsole();
  let inUse = false;
  const shared = new SharedConsole(host, () => inUse);
  const heard: string[] = [];
  shared.first.connect((bytes) => heard.push(`first ${String.fromCharCode(...bytes)}`));
  shared.second.connect((bytes) => heard.push(`second ${String.fromCharCode(...bytes)}`));
  shared.first.transmit(0x61);
  shared.second.transmit(0x62);
  expect(host.text).toBe("ab");
  host.receive("x");
  inUse = true;
  host.receive("y");
  inUse = false;
  host.receive("z");
  expect(heard).toEqual(["first x", "second y", "first z"]);
});
