import { GuestError } from "../core/errors.ts";
import { hex } from "../core/units.ts";
import { EXTENDED_START } from "./memory-map.ts";
import type { Multiboot2Layout, Relocation } from "./multiboot2.ts";
import type { Placement } from "./placement.ts";

/**
 * Chooses the place of a kernel that can run anywhere (Multiboot2 2.0 §3.1.11): where it was linked
 * if that will do and it does not mind, else the lowest or the highest place that it allows.
 * @param limit end of RAM
 * @throws GuestError `image` when there is no such place
 */
export function relocate<Layout extends Multiboot2Layout>(
  layout: Layout,
  placement: Placement,
  limit: number,
): Layout {
  const { relocation, segments } = layout;
  if (relocation === undefined) return layout;
  const linked = Math.min(...segments.map(({ address }) => address));
  const size =
    Math.max(...segments.map(({ address, memorySize }) => address + memorySize)) - linked;
  const base = choose(relocation, linked, size, placement, limit);
  if (base === undefined) {
    const { lowest, highest } = relocation;
    throw new GuestError(
      "image",
      `kernel does not fit where it can run: ${hex(size)} bytes from ${hex(lowest)} to ${hex(highest)}`,
    );
  }
  const distance = base - linked;
  return {
    ...layout,
    entry: layout.entry + distance,
    segments: segments.map((one) => ({ ...one, address: one.address + distance })),
  };
}

function choose(
  { lowest, highest, alignment, preference }: Relocation,
  linked: number,
  size: number,
  placement: Placement,
  limit: number,
): number | undefined {
  const last = Math.min(highest + 1, limit) - size;
  const suits = (base: number): boolean =>
    base >= lowest && base <= last && base % alignment === 0 && placement.isFree(base, size);
  const low = placement.findFree(Math.max(lowest, EXTENDED_START), size, alignment);
  const high = Math.floor(last / alignment) * alignment;
  const wishes = {
    none: [linked, low],
    lowest: [low],
    highest: [high, low],
  } as const;
  return wishes[preference].find(suits);
}
