import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildElf, multibootHeader } from "./elf-builder.ts";
import { multiboot2Header } from "./multiboot2-header.ts";
import { temporaryFolder } from "./temporary.ts";
import { exit } from "./tiny-guest.ts";

/** Width and height of what is painted. */
export const PAINTED = [640, 480] as const;
const [WIDTH, HEIGHT] = PAINTED;
const VIDEO_MODE = 1 << 2;
const FRAMEBUFFER_TAG = 5;
const LOAD = 0x10_0000;
const CODE = 0x100;

/** A kernel that fills the screen: each pixel's value is its number. */
function painter(header: Uint8Array, findFramebuffer: readonly number[]): string {
  const code = [
    ...findFramebuffer, // edi = its address
    ...[0xb9, 0x00, 0xb0, 0x04, 0x00], // mov ecx, 640 * 480
    ...[0x31, 0xc0], // xor eax, eax
    ...[0xab, 0x40, 0xe2, 0xfc], // next: stosd; inc eax; loop next
    ...exit(0),
  ];
  const data = new Uint8Array(CODE + code.length);
  data.set(header);
  data.set(code, CODE);
  const segments = [{ physicalAddress: LOAD, data, alignment: 0x1000 }];
  const path = join(temporaryFolder(), "painter.elf");
  writeFileSync(path, buildElf({ class: 32, entry: LOAD + CODE, segments }));
  return path;
}

export function multiboot1Painter(): string {
  const header = new Uint8Array(48);
  header.set(multibootHeader(VIDEO_MODE));
  new DataView(header.buffer).setUint32(36, WIDTH, true);
  new DataView(header.buffer).setUint32(40, HEIGHT, true);
  new DataView(header.buffer).setUint32(44, 32, true);
  return painter(header, [0x8b, 0x7b, 0x58]); // mov edi, [ebx + 88]
}

export const multiboot2Painter = (): string =>
  painter(multiboot2Header([{ type: FRAMEBUFFER_TAG, words: [WIDTH, HEIGHT, 32] }]), [
    ...[0x8d, 0x73, 0x08], // lea esi, [ebx + 8]
    ...[0x83, 0x3e, 0x08], // again: cmp dword [esi], 8
    ...[0x74, 0x0b], // je found
    ...[0x03, 0x76, 0x04], // add esi, [esi + 4]
    ...[0x83, 0xc6, 0x07], // add esi, 7
    ...[0x83, 0xe6, 0xf8], // and esi, -8
    ...[0xeb, 0xf0], // jmp again
    ...[0x8b, 0x7e, 0x08], // found: mov edi, [esi + 8]
  ]);
