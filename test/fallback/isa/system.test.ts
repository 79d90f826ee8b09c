import { expect, test } from "vitest";
import { run } from "./snippets.ts";

test("RDPMC knows no counter", () => {
  const { fault } = run("0f 33");
  expect([fault?.vector, fault?.errorCode]).toEqual([13, 0]);
});
