import { PT_INTERP, PT_NOTE } from "../../src/boot/elf.ts";
import { MFT_LAYOUT, MFT_TYPE } from "../../src/boot/solo5/manifest.ts";
import { encodeUtf8 } from "../../src/boot/text.ts";
import { buildElf, note, type SegmentSpec } from "./elf-builder.ts";

export const ABI_NOTE = 0x3149_4241;
export const MFT_NOTE = 0x3154_464d;
const BASE = 0x10_0000;

/** A manifest with these devices after its first entry. */
export function manifestBytes(devices: readonly (readonly [type: number, name: string])[]) {
  const entries = [[MFT_TYPE.RESERVED_FIRST, ""] as const, ...devices];
  const bytes = new Uint8Array(MFT_LAYOUT.header + entries.length * MFT_LAYOUT.entry);
  const view = new DataView(bytes.buffer);
  view.setUint32(MFT_LAYOUT.version, 1, true);
  view.setUint32(MFT_LAYOUT.entries, entries.length, true);
  entries.forEach(([type, name], index) => {
    const at = MFT_LAYOUT.header + index * MFT_LAYOUT.entry;
    bytes.set(encodeUtf8(name), at);
    view.setUint32(at + MFT_LAYOUT.type, type, true);
  });
  return bytes;
}

/** The note that holds a manifest: it begins with the padding that aligns it. */
export const manifestNote = (manifest: Uint8Array): Uint8Array =>
  note("Solo5", MFT_NOTE, Uint8Array.of(0, 0, 0, 0, ...manifest));

export const abiNote = (target = 1, version = 2): Uint8Array =>
  note("Solo5", ABI_NOTE, new Uint8Array(Uint32Array.of(target, version, 0, 0).buffer));

export const DEVICES = [
  [MFT_TYPE.BLOCK_BASIC, "storage"],
  [MFT_TYPE.NET_BASIC, "service0"],
  [MFT_TYPE.NET_BASIC, "service1"],
] as const;

interface HvtImageSpec {
  readonly interpreter?: string;
  readonly notes?: readonly Uint8Array[];
  readonly segments?: readonly SegmentSpec[];
  readonly entry?: number;
}

const PAGE = 0x1000;

/** Code at 1 MiB, constants, data with a bss: as the linker scripts lay them out. */
export const hvtSegments = (): SegmentSpec[] => [
  { physicalAddress: BASE, flags: 1, data: new Uint8Array(64).fill(0xcc), alignment: PAGE },
  { physicalAddress: BASE + PAGE, flags: 4, data: new Uint8Array(300), alignment: PAGE },
  {
    ...{ physicalAddress: BASE + 2 * PAGE, flags: 6, data: new Uint8Array(100).fill(1) },
    ...{ memorySize: 0x1800, alignment: PAGE },
  },
];

/** An image for Solo5's hvt. */
export function hvtImage(spec: HvtImageSpec = {}): Uint8Array {
  const { interpreter = "/nonexistent/solo5/", entry = BASE } = spec;
  const notes = spec.notes ?? [abiNote(), manifestNote(manifestBytes(DEVICES))];
  return buildElf({
    class: 64,
    entry,
    segments: [
      { type: PT_INTERP, physicalAddress: 0, data: encodeUtf8(`${interpreter}\0`) },
      ...(spec.segments ?? hvtSegments()),
      ...notes.map((data) => ({ type: PT_NOTE, physicalAddress: 0, data })),
    ],
  });
}
