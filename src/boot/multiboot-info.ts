/** The boot loader's side of Multiboot 0.6.96: the information structure (§3.3). */

import { KIB } from "../core/units.ts";
import { alignUp, viewOf } from "./data-view.ts";
import { describeScreen, type Screen, vbeInformation, vbeSize } from "./framebuffer.ts";
import { CONVENTIONAL_END, EXTENDED_START, type MemoryMapEntry } from "./memory-map.ts";
import { encodeUtf8 } from "./text.ts";

const INFO_MEMORY = 1 << 0;
const INFO_CMDLINE = 1 << 2;
const INFO_MODS = 1 << 3;
const INFO_ELF_SHDR = 1 << 5;
const INFO_MEM_MAP = 1 << 6;
const INFO_BOOT_LOADER_NAME = 1 << 9;
const INFO_VBE = 1 << 11;
const INFO_FRAMEBUFFER = 1 << 12;

/** Up to and including the framebuffer fields. */
const INFO_SIZE = 116;
const FRAMEBUFFER_FIELDS = 88;
const COLOUR_FIELDS = 110;
/** The `size` field, which does not count itself, and the 20 bytes that it counts. */
const MAP_ENTRY_SIZE = 24;
const MODULE_ENTRY_SIZE = 16;

export const BOOT_LOADER_NAME = "solo5-kvm";

export interface ModuleInfo {
  readonly start: number;
  /** First address after the module. */
  readonly end: number;
  readonly commandLine: string;
}

export interface InformationContent {
  /** Bytes of RAM. */
  readonly memorySize: number;
  readonly memoryMap: readonly MemoryMapEntry[];
  readonly commandLine: string;
  readonly modules: readonly ModuleInfo[];
  /** Section headers of the kernel in guest memory. */
  readonly symbols:
    | {
        readonly address: number;
        readonly count: number;
        readonly entrySize: number;
        readonly namesIndex: number;
      }
    | undefined;
  /** `undefined` where the kernel does not ask for anything. */
  readonly screen?: Screen | undefined;
}

/** Bytes that {@link buildInformation} makes of this content; addresses in it do not matter. */
export function informationSize(
  commandLine: string,
  moduleCommandLines: readonly string[],
  mapEntries: number,
  screen?: Screen,
): number {
  const strings = [commandLine, BOOT_LOADER_NAME, ...moduleCommandLines];
  const stringBytes = strings.reduce((sum, text) => sum + encodeUtf8(text).length + 1, 0);
  return stringsOffset(mapEntries, moduleCommandLines.length, screen) + stringBytes;
}

/**
 * The structure and all it points to: memory map, module list, strings.
 * @param address guest physical address it will have
 */
export function buildInformation(address: number, content: InformationContent): Uint8Array {
  const { modules, memoryMap, symbols, screen } = content;
  const commandLines = modules.map(({ commandLine }) => commandLine);
  const size = informationSize(content.commandLine, commandLines, memoryMap.length, screen);
  const bytes = new Uint8Array(size);
  const view = viewOf(bytes);
  const set = (offset: number, value: number): void => view.setUint32(offset, value, true);

  let nextString = stringsOffset(memoryMap.length, modules.length, screen);
  const addString = (text: string): number => {
    const start = nextString;
    const encoded = encodeUtf8(text);
    bytes.set(encoded, start);
    nextString += encoded.length + 1;
    return address + start;
  };

  set(4, Math.floor(CONVENTIONAL_END / KIB));
  set(8, Math.max(0, Math.floor((content.memorySize - EXTENDED_START) / KIB)));
  set(16, addString(content.commandLine));
  set(44, memoryMap.length * MAP_ENTRY_SIZE);
  set(48, address + MAP_OFFSET);
  set(64, addString(BOOT_LOADER_NAME));
  let flags = INFO_MEMORY | INFO_CMDLINE | INFO_MEM_MAP | INFO_BOOT_LOADER_NAME;

  if (modules.length > 0) {
    flags |= INFO_MODS;
    set(20, modules.length);
    set(24, address + modulesOffset(memoryMap.length));
  }
  if (symbols !== undefined) {
    flags |= INFO_ELF_SHDR;
    set(28, symbols.count);
    set(32, symbols.entrySize);
    set(36, symbols.address);
    set(40, symbols.namesIndex);
  }
  if (screen !== undefined) {
    const { fields, colours } = describeScreen(screen);
    bytes.set(fields, FRAMEBUFFER_FIELDS);
    bytes.set(colours, COLOUR_FIELDS);
    flags |= INFO_FRAMEBUFFER;
    const vbe = vbeOffset(memoryMap.length, modules.length);
    const blocks = vbeInformation(screen, address + vbe);
    if (blocks !== undefined) {
      flags |= INFO_VBE;
      bytes.set(blocks.controller, vbe);
      bytes.set(blocks.mode, vbe + blocks.controller.length);
      set(72, address + vbe);
      set(76, address + vbe + blocks.controller.length);
      view.setUint16(80, blocks.number, true);
    }
  }
  set(0, flags);

  for (const [index, entry] of memoryMap.entries()) {
    const offset = MAP_OFFSET + index * MAP_ENTRY_SIZE;
    set(offset, MAP_ENTRY_SIZE - 4);
    view.setBigUint64(offset + 4, BigInt(entry.address), true);
    view.setBigUint64(offset + 12, BigInt(entry.length), true);
    set(offset + 20, entry.type);
  }
  for (const [index, module] of modules.entries()) {
    const offset = modulesOffset(memoryMap.length) + index * MODULE_ENTRY_SIZE;
    set(offset, module.start);
    set(offset + 4, module.end);
    set(offset + 8, addString(module.commandLine));
  }
  return bytes;
}

const MAP_OFFSET = alignUp(INFO_SIZE, 8);
const modulesOffset = (mapEntries: number): number => MAP_OFFSET + mapEntries * MAP_ENTRY_SIZE;
const vbeOffset = (mapEntries: number, modules: number): number =>
  modulesOffset(mapEntries) + modules * MODULE_ENTRY_SIZE;
const stringsOffset = (mapEntries: number, modules: number, screen: Screen | undefined): number =>
  vbeOffset(mapEntries, modules) + (screen === undefined ? 0 : vbeSize(screen));
