import { expect, test } from "vitest";
import { loadAddon } from "../../src/host/addon.ts";
import type { KvmAddon } from "../../src/kvm/addon.ts";
import {
  CPUID,
  DEBUGREGS,
  EVENTS,
  GUESTDEBUG,
  MSRS,
  REGS,
  RUN,
  SEGMENT,
  SIZE,
  SREGS,
  XCRS,
} from "../../src/kvm/layout.ts";
import { missing } from "../support/requirements.ts";

test.skipIf(missing("addon"))("the TypeScript layouts are those of the C headers", () => {
  const structures = {
    run: RUN,
    regs: REGS,
    sregs: SREGS,
    segment: SEGMENT,
    debugregs: DEBUGREGS,
    events: EVENTS,
    guestdebug: GUESTDEBUG,
    xcrs: XCRS,
    msrs: MSRS,
    cpuid: CPUID,
    size: SIZE,
  };
  const ours = new Map<string, number>(
    Object.entries(structures).flatMap(([structure, fields]) =>
      Object.entries(fields).map(([field, value]) => [`${structure}.${field}`, value] as const),
    ),
  );
  const theirs = Object.entries(loadAddon<KvmAddon>().kvmLayout);
  expect(theirs.length).toBeGreaterThan(50);
  expect(theirs.filter(([name, value]) => ours.get(name) !== value)).toEqual([]);
});
