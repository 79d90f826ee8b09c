import { expect, test } from "vitest";
import { IdentityWindow, type WindowRule } from "../../../fallback/memory/window.ts";

const PAGE = 0x1000;
const PAGES = 64;

/** Pages up to a limit, one by one; below the first as well, where nobody should ask. */
const rule: WindowRule = {
  page: (address) => address < PAGES * PAGE,
  chunk: () => false,
};

function shown(): { readonly window: IdentityWindow; readonly view: DataView } {
  const view = new DataView(new ArrayBuffer(16));
  const window = new IdentityWindow(view, 0, rule, () => {});
  window.show();
  return { window, view };
}

test("a window grows from page to page where accesses miss it, up to what does not qualify", () => {
  const { window } = shown();
  for (let page = 0; page < PAGES; page++) window.missed(page * PAGE);
  expect([window.start, window.end]).toEqual([0, PAGES * PAGE]);
});

test("what lies against a window that begins at zero makes it no larger below", () => {
  const { window, view } = shown();
  window.missed(0);
  const { end } = window;
  window.missed(end);
  expect(window.start).toBe(0);
  expect(window.end).toBeGreaterThan(end);
  expect(view.getBigUint64(0, true)).toBe(0n);
});
