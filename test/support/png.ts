import { inflateSync } from "node:zlib";
import type { Picture } from "../../src/core/picture.ts";

/** Reads what our encoder makes: eight bits of each of three colours, lines without a filter. */
export function decodePng(file: Buffer): Picture {
  if (file.toString("latin1", 1, 4) !== "PNG") throw new Error("no PNG");
  let [width, height] = [0, 0];
  const data: Buffer[] = [];
  for (let at = 8; at < file.length; ) {
    const length = file.readUInt32BE(at);
    const type = file.toString("latin1", at + 4, at + 8);
    const body = file.subarray(at + 8, at + 8 + length);
    if (file.readUInt32BE(at + 8 + length) !== crc(file.subarray(at + 4, at + 8 + length))) {
      throw new Error(`${type}: wrong CRC`);
    }
    if (type === "IHDR") {
      [width, height] = [body.readUInt32BE(0), body.readUInt32BE(4)];
      if (body.subarray(8).toString("hex") !== "0802000000") throw new Error("another format");
    }
    if (type === "IDAT") data.push(body);
    at += 12 + length;
  }
  const lines = inflateSync(Buffer.concat(data));
  const pixels = new Uint8Array(3 * width * height);
  for (let y = 0; y < height; y++) {
    const at = y * (3 * width + 1);
    if (lines[at] !== 0) throw new Error("a filter");
    pixels.set(lines.subarray(at + 1, at + 1 + 3 * width), 3 * width * y);
  }
  return { width, height, pixels };
}

/** As the PNG specification gives it, a bit at a time. */
function crc(bytes: Uint8Array): number {
  let value = ~0;
  for (const byte of bytes) {
    value ^= byte;
    for (let bit = 0; bit < 8; bit++) value = (value >>> 1) ^ (value & 1 ? 0xedb8_8320 : 0);
  }
  return ~value >>> 0;
}
