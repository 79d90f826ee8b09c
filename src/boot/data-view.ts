/** A `DataView` of exactly these bytes. */
export const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

/** Little endian; values of 2^53 and above lose low bits, and are past any limit either way. */
export const getUint64 = (view: DataView, offset: number): number =>
  view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 0x1_0000_0000;

/** Rounds up to a multiple; also beyond 32 bits. */
export const alignUp = (value: number, alignment: number): number =>
  Math.ceil(value / alignment) * alignment;
