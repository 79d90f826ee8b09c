import { hex } from "../core/units.ts";
import { type BootEntry, NO_EMULATION, PLATFORM_EFI, PLATFORM_X86 } from "./el-torito.ts";
import { type ElfSegment, PT_INTERP, PT_LOAD, PT_NOTE } from "./elf.ts";
import type { ElfReport, ImageReport, IsoReport, Solo5Report } from "./inspect.ts";
import type { MenuEntry, MenuFile } from "./menu.ts";
import type { MultibootHeader } from "./multiboot.ts";
import { targetName } from "./solo5/abi.ts";
import { printable } from "./text.ts";

/** A report as lines for a terminal; names from the image are made printable. */
export function formatReport(report: ImageReport): string[] {
  return [
    `${report.kind}, ${report.size} bytes`,
    ...(report.iso === undefined ? [] : formatIso(report.iso)),
    ...(report.elf === undefined ? [] : formatElf(report.elf)),
    ...(report.multiboot === undefined ? [] : formatMultiboot(report.multiboot)),
    ...(report.solo5 === undefined ? [] : formatSolo5(report.solo5)),
    ...report.problems.map((problem) => `problem: ${printable(problem, Number.POSITIVE_INFINITY)}`),
  ];
}

function formatIso(iso: IsoReport): string[] {
  const width = Math.max(0, ...iso.files.map(({ size }) => String(size).length));
  const names = iso.rockRidge ? "Rock Ridge names" : "plain ISO names";
  return [
    `volume "${printable(iso.volumeId)}", ${iso.volumeSize} bytes, ${names}`,
    ...iso.bootEntries.map(formatBootEntry),
    ...(iso.menuPath === undefined ? [] : [`menu ${iso.menuPath}`]),
    ...iso.menuEntries.flatMap((entry, index) => formatEntry(entry, index === iso.defaultEntry)),
    "files",
    ...iso.files.map(({ path, size, kind }) => {
      const note = kind === undefined ? "" : `  ${printable(kind)}`;
      return `  ${String(size).padStart(width)}  ${printable(path)}${note}`;
    }),
  ];
}

function formatBootEntry(entry: BootEntry): string {
  const platform =
    entry.platform === PLATFORM_X86
      ? "PC"
      : entry.platform === PLATFORM_EFI
        ? "EFI"
        : `platform ${hex(entry.platform)}`;
  const media = entry.mediaType === NO_EMULATION ? "no emulation" : `emulation ${entry.mediaType}`;
  const bootable = entry.bootable ? "" : ", not bootable";
  return `boot record for ${platform}: ${media}, ${entry.sectorCount} sectors at ${entry.location}${bootable}`;
}

function formatEntry(entry: MenuEntry, isDefault: boolean): string[] {
  const file = ({ path, arguments: words }: MenuFile): string =>
    printable(`${path} ${words}`.trim());
  return [
    `  ${isDefault ? "*" : " "} ${entry.title === "" ? "(untitled)" : printable(entry.title)}`,
    ...(entry.kernel === undefined ? [] : [`      kernel ${file(entry.kernel)}`]),
    ...entry.modules.map((module) => `      module ${file(module)}`),
    ...(entry.unsupported === undefined ? [] : [`      ${entry.unsupported}: not supported`]),
  ];
}

function formatElf(elf: ElfReport): string[] {
  return [
    `entry ${hex(elf.entry)}`,
    ...elf.segments.map(formatSegment),
    ...elf.notes.map(
      ({ name, type, size }) => `note "${printable(name)}" ${hex(type)}, ${size} bytes`,
    ),
  ];
}

const SEGMENT_TYPES: Readonly<Record<number, string>> = {
  [PT_LOAD]: "load",
  [PT_INTERP]: "interpreter",
  [PT_NOTE]: "note",
  6: "headers",
  7: "tls",
  1685382481: "stack",
};

function formatSegment(segment: ElfSegment): string {
  const type = SEGMENT_TYPES[segment.type] ?? `type ${hex(segment.type)}`;
  const flags = ["r", "w", "x"].map((flag, index) =>
    (segment.flags & (4 >> index)) !== 0 ? flag : "-",
  );
  const { physicalAddress, virtualAddress, memorySize, fileSize, offset } = segment;
  return `segment ${type} ${flags.join("")} at ${hex(physicalAddress)} (virtual ${hex(virtualAddress)}), ${memorySize} bytes, ${fileSize} from ${hex(offset)}`;
}

function formatSolo5({ abi, manifest }: Solo5Report): string[] {
  const devices = manifest?.devices ?? [];
  return [
    ...(abi === undefined ? [] : [`Solo5 ${targetName(abi.target)}, ABI version ${abi.version}`]),
    ...(manifest === undefined ? [] : [devices.length === 0 ? "manifest: no devices" : "manifest"]),
    ...devices.map(({ kind, name }) => `  ${kind.padEnd(5)}  ${printable(name)}`),
  ];
}

function formatMultiboot({ offset, flags, addresses }: MultibootHeader): string[] {
  const header = `Multiboot header at ${hex(offset)}, flags ${hex(flags)}`;
  if (addresses === undefined) return [header];
  const { loadAddress, loadEndAddress, bssEndAddress, entryAddress } = addresses;
  return [
    header,
    `  load ${hex(loadAddress)} to ${hex(loadEndAddress)}, bss to ${hex(bssEndAddress)}, entry ${hex(entryAddress)}`,
  ];
}
