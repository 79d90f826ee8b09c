/**
 * What the keys of a US keyboard send (scan codes of set 1) and what the BIOS makes of them (IBM
 * PS/2 and PC BIOS Interface Technical Reference, "Keyboard"): scan code in the upper byte, ASCII
 * in the lower, or 0 and 0xe0 for keys without.
 */

const SHIFT = 0x03;
const CONTROL = 0x04;
const ALT = 0x08;
const CAPS_LOCK = 0x40;

/** Bits of the data area's keyboard flags, by scan code. */
export const MODIFIER_FLAGS: Readonly<Record<number, number>> = {
  42: 0x02,
  54: 0x01,
  29: CONTROL,
  56: ALT,
};

/** From scan code 2 on, a row at a time: without and with shift. `\0` is no character. */
const ROWS: readonly {
  readonly first: number;
  readonly plain: string;
  readonly shifted: string;
}[] = [
  { first: 0x02, plain: "1234567890-=\b\t", shifted: "!@#$%^&*()_+\b\t" },
  { first: 0x10, plain: "qwertyuiop[]\r", shifted: "QWERTYUIOP{}\r" },
  { first: 0x1e, plain: "asdfghjkl;'`", shifted: 'ASDFGHJKL:"~' },
  { first: 0x2b, plain: "\\zxcvbnm,./", shifted: "|ZXCVBNM<>?" },
  { first: 0x39, plain: " ", shifted: " " },
  { first: 0x01, plain: "\x1b", shifted: "\x1b" },
];

interface Character {
  readonly plain: number;
  readonly shifted: number;
}

const CHARACTERS: ReadonlyMap<number, Character> = new Map(
  ROWS.flatMap(({ first, plain, shifted }) =>
    [...plain].map((character, i): [number, Character] => [
      first + i,
      { plain: character.charCodeAt(0), shifted: shifted.charCodeAt(i) },
    ]),
  ),
);

const TAB = 0x0f;
const ENTER = 0x1c;
const F1 = 0x3b;
const F10 = 0x44;
const KEYPAD_FIRST = 0x47;
const KEYPAD_LAST = 0x53;
const KEYPAD_MINUS = 0x4a;
const KEYPAD_PLUS = 0x4e;
const KEYPAD_SLASH = 0x35;
const F11 = 0x57;
const F12 = 0x58;
/** F11 and F12 came late: their codes are not those that they send. */
const F11_CODE = 0x8500;
const F12_CODE = 0x8600;

const isLetter = (code: number): boolean => code >= 0x61 && code <= 0x7a;

/**
 * @param code of a key that is pressed
 * @param extended whether 0xe0 came before it
 * @param flags the data area's
 * @returns what INT 16h reads; `undefined` for nothing
 */
export function keyOf(code: number, extended: boolean, flags: number): number | undefined {
  if (code >= F1 && code <= F10) return (code + functionKeyShift(flags)) << 8;
  if (code === F11) return F11_CODE;
  if (code === F12) return F12_CODE;
  if (code === KEYPAD_MINUS) return (code << 8) | 0x2d;
  if (code === KEYPAD_PLUS) return (code << 8) | 0x2b;
  if (code >= KEYPAD_FIRST && code <= KEYPAD_LAST) return (code << 8) | (extended ? 0xe0 : 0);
  if (extended && code === ENTER) return 0xe00d;
  if (extended && code === KEYPAD_SLASH) return 0xe02f;
  const character = CHARACTERS.get(code);
  if (character === undefined) return undefined;
  return (code << 8) | asciiOf(code, character, flags);
}

/** With a modifier the function keys have codes of their own. */
function functionKeyShift(flags: number): number {
  if ((flags & ALT) !== 0) return 0x2d;
  if ((flags & CONTROL) !== 0) return 0x23;
  return (flags & SHIFT) !== 0 ? 0x19 : 0;
}

function asciiOf(code: number, { plain, shifted }: Character, flags: number): number {
  if ((flags & ALT) !== 0) return 0;
  if ((flags & CONTROL) !== 0) {
    if (isLetter(plain)) return plain & 0x1f;
    return { 26: 0x1b, 27: 0x1d, 43: 0x1c, 12: 0x1f, 14: 0x7f }[code] ?? plain;
  }
  const shift = (flags & SHIFT) !== 0;
  if (code === TAB && shift) return 0;
  const capital = isLetter(plain) && (flags & CAPS_LOCK) !== 0;
  return shift !== capital ? shifted : plain;
}
