/** Small programs whose translation is kept as text in `golden`. */
import type { Mode } from "./machine.ts";

export interface Snippet {
  readonly name: string;
  /** It ends with HLT. */
  readonly code: readonly number[];
  readonly bits: Mode["bits"];
  readonly segmented?: boolean;
}

/** Where all of them have the start of a loop. */
export const LOOP_OFFSET = 5;

/** mov ecx, 20; again: …; dec ecx; jnz again; hlt */
const loop = (...body: number[]): number[] => {
  const back = -(body.length + 4);
  return [0xb9, 20, 0, 0, 0, ...body, 0xff, 0xc9, 0x75, back & 0xff, 0xf4];
};

export const SNIPPETS: readonly Snippet[] = [
  // add rax, rcx; xor edx, eax
  { name: "arithmetic", bits: 64, code: loop(0x48, 0x01, 0xc8, 0x31, 0xc2) },
  // add al, cl; adc ah, 3; mov dx, ax
  { name: "parts-of-registers", bits: 64, code: loop(0x00, 0xc8, 0x80, 0xd4, 3, 0x66, 0x89, 0xc2) },
  // mov eax, [rbx + 4 * rcx]; add [rbx + 8], rax; movzx edx, byte [rbx + 1]
  {
    name: "memory",
    bits: 64,
    code: loop(...[0x8b, 0x04, 0x8b, 0x48, 0x01, 0x43, 8, 0x0f, 0xb6, 0x53, 1]),
  },
  // cmp eax, ecx; setl dl; cmovg esi, ecx; jp +2; inc eax
  {
    name: "conditions",
    bits: 64,
    code: loop(...[0x39, 0xc8, 0x0f, 0x9c, 0xc2, 0x0f, 0x4f, 0xf1, 0x7a, 2, 0xff, 0xc0]),
  },
  // shl eax, cl; adc edx, eax; sar esi, 3
  { name: "shifts", bits: 64, code: loop(0xd3, 0xe0, 0x11, 0xc2, 0xc1, 0xfe, 3) },
  // push rax; call f; pop rdx; dec ecx; jnz; hlt; f: inc eax; ret
  {
    name: "calls",
    bits: 64,
    code: [
      ...[0xb9, 20, 0, 0, 0, 0x50, 0xe8, 6, 0, 0, 0, 0x5a, 0xff, 0xc9, 0x75, 0xf5, 0xf4],
      ...[0xff, 0xc0, 0xc3],
    ],
  },
  // movups xmm0, [rbx]; addps xmm0, xmm1; paddd xmm2, xmm0; cvttsd2si eax, xmm2; movups [rbx], xmm0
  {
    name: "vectors",
    bits: 64,
    code: loop(
      ...[0x0f, 0x10, 0x03, 0x0f, 0x58, 0xc1, 0x66, 0x0f, 0xfe, 0xd0],
      ...[0xf2, 0x0f, 0x2c, 0xc2, 0x0f, 0x11, 0x03],
    ),
  },
  // mov esi, ecx; pcmpistri xmm0, [rbx], 0x1a; cmova edi, ecx; mov ecx, esi
  {
    name: "string-comparison",
    bits: 64,
    code: loop(0x89, 0xce, 0x66, 0x0f, 0x3a, 0x63, 0x03, 0x1a, 0x0f, 0x47, 0xf9, 0x89, 0xf1),
  },
  // cpuid (rbx and rcx kept in rdi, rsi): an instruction without code of its own
  {
    name: "procedure",
    bits: 64,
    code: loop(0x89, 0xce, 0x48, 0x89, 0xdf, 0x0f, 0xa2, 0x89, 0xf1, 0x48, 0x89, 0xfb),
  },
  // add eax, [ebx]; add ax, [ebx + 4]; push eax; pop edx
  {
    name: "32-bit",
    bits: 32,
    code: loop(0x03, 0x03, 0x66, 0x03, 0x43, 4, 0x50, 0x5a),
  },
  // the same with segments
  {
    name: "32-bit-segments",
    bits: 32,
    segmented: true,
    code: loop(0x03, 0x03, 0x66, 0x03, 0x43, 4, 0x50, 0x5a),
  },
];
