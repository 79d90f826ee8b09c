/** What keys a US keyboard would have sent for text that was typed on a terminal (set 1). */

const LEFT_SHIFT = 0x2a;
const LEFT_CONTROL = 0x1d;
const EXTENDED = 0xe0;
const RELEASED = 0x80;
const ESCAPE = 0x1b;
const DELETE = 0x7f;
const BACKSPACE_KEY = 0x0e;
const ESCAPE_KEY = 0x01;

/** From a scan code on: characters of the keys, without and with shift. */
const ROWS: readonly (readonly [first: number, plain: string, shifted: string])[] = [
  [0x02, "1234567890-=\b\t", "!@#$%^&*()_+\b\t"],
  [0x10, "qwertyuiop[]\r", "QWERTYUIOP{}\r"],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, "\\zxcvbnm,./", "|ZXCVBNM<>?"],
  [0x39, " ", " "],
];

interface Key {
  readonly code: number;
  readonly shift: boolean;
}

const keysOf = (first: number, characters: string, shift: boolean): [string, Key][] =>
  [...characters].map((character, i) => [character, { code: first + i, shift }]);

/** Keys by character. Where a character has two, the one without shift comes last and wins. */
const KEYS: ReadonlyMap<string, Key> = new Map([
  ...ROWS.flatMap(([first, , shifted]) => keysOf(first, shifted, true)),
  ...ROWS.flatMap(([first, plain]) => keysOf(first, plain, false)),
  ...keysOf(0x1c, "\n", false),
]);

/** Keys without a character, by what terminals send after `ESC [` or `ESC O`. */
const SEQUENCES: Readonly<Record<string, readonly number[]>> = {
  A: [EXTENDED, 0x48],
  B: [EXTENDED, 0x50],
  C: [EXTENDED, 0x4d],
  D: [EXTENDED, 0x4b],
  H: [EXTENDED, 0x47],
  F: [EXTENDED, 0x4f],
  "1~": [EXTENDED, 0x47],
  "2~": [EXTENDED, 0x52],
  "3~": [EXTENDED, 0x53],
  "4~": [EXTENDED, 0x4f],
  "5~": [EXTENDED, 0x49],
  "6~": [EXTENDED, 0x51],
  P: [0x3b],
  Q: [0x3c],
  R: [0x3d],
  S: [0x3e],
  "11~": [0x3b],
  "12~": [0x3c],
  "13~": [0x3d],
  "14~": [0x3e],
  "15~": [0x3f],
  "17~": [0x40],
  "18~": [0x41],
  "19~": [0x42],
  "20~": [0x43],
  "21~": [0x44],
  "23~": [0x57],
  "24~": [0x58],
};

/**
 * @param typed what arrived at once: an escape sequence is one key then, a lone ESC another
 * @returns scan codes of keys pressed and released
 */
export function scanCodesOf(typed: Uint8Array): number[] {
  const codes: number[] = [];
  for (let at = 0; at < typed.length; ) {
    const sequence = typed[at] === ESCAPE ? sequenceAt(typed, at) : undefined;
    if (sequence === undefined) {
      codes.push(...keyOf(typed[at] as number));
      at++;
    } else {
      codes.push(...pressAndRelease(sequence.keys));
      at += sequence.length;
    }
  }
  return codes;
}

function sequenceAt(
  typed: Uint8Array,
  at: number,
): { keys: readonly number[]; length: number } | undefined {
  const text = String.fromCharCode(...typed.subarray(at + 1, at + 6));
  const [whole = "", name = ""] = /^[[O]([A-Z]|\d+~)/.exec(text) ?? [];
  const keys = SEQUENCES[name];
  return keys === undefined ? undefined : { keys, length: 1 + whole.length };
}

function keyOf(byte: number): number[] {
  if (byte === ESCAPE) return pressAndRelease([ESCAPE_KEY]);
  if (byte === DELETE) return pressAndRelease([BACKSPACE_KEY]);
  const key = KEYS.get(String.fromCharCode(byte));
  if (key !== undefined) {
    const { code, shift } = key;
    return shift ? withModifier(LEFT_SHIFT, code) : pressAndRelease([code]);
  }
  // A control character is a letter's.
  const letter = byte < 0x20 ? KEYS.get(String.fromCharCode(byte | 0x60)) : undefined;
  return letter === undefined ? [] : withModifier(LEFT_CONTROL, letter.code);
}

function pressAndRelease(keys: readonly number[]): number[] {
  const released = keys.map((code) => (code === EXTENDED ? code : code | RELEASED));
  return [...keys, ...released];
}

const withModifier = (modifier: number, code: number): number[] => [
  modifier,
  ...pressAndRelease([code]),
  modifier | RELEASED,
];
