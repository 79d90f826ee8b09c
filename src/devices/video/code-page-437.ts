/** What a PC's text screen shows for each byte. */

const LOW = " ☺☻♥♦♣♠•◘○◙♂♀♪♫☼►◄↕‼¶§▬↨↑↓→←∟↔▲▼";
const HIGH =
  "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐└┴┬├─┼╞╟╚╔╩╦╠═╬╧" +
  "╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■ ";

const CHARACTERS = Array.from({ length: 256 }, (_, code) => {
  if (code < 0x20) return LOW[code] as string;
  if (code === 0x7f) return "⌂";
  return code < 0x80 ? String.fromCharCode(code) : (HIGH[code - 0x80] as string);
});

export const characterOf = (code: number): string => CHARACTERS[code & 0xff] as string;
