/** What a piece takes beside its bytes, about. */
const PIECE_COST = 256;

/** Bytes on their way to the guest: those that it has not acknowledged, and those not yet sent. */
export class SendQueue {
  /** Pieces as they came: none is copied before it is sent. */
  #pieces: Uint8Array[] = [];
  /** How many of the first pieces are done with. */
  #first = 0;
  /** How many bytes of the first piece are done with. */
  #offset = 0;
  #length = 0;
  /** Where the last {@link copy} ended, which is where the next one starts most of the time. */
  #mark = { at: 0, piece: 0, offset: 0 };

  get length(): number {
    return this.#length;
  }

  /** Bytes of memory, about: an outside that sends byte by byte fills it as well. */
  get cost(): number {
    return this.#length + PIECE_COST * (this.#pieces.length - this.#first);
  }

  /** @param bytes are kept as they are */
  push(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    this.#pieces.push(bytes);
    this.#length += bytes.length;
  }

  /** Forgets the first `count` bytes. */
  drop(count: number): void {
    this.#length -= count;
    this.#mark.at -= count;
    this.#offset += count;
    let piece = this.#pieces[this.#first];
    while (piece !== undefined && this.#offset >= piece.length) {
      this.#offset -= piece.length;
      this.#pieces[this.#first++] = NOTHING;
      piece = this.#pieces[this.#first];
    }
    if (this.#first === this.#pieces.length) this.clear();
    else if (this.#first > 64) {
      this.#pieces.splice(0, this.#first);
      this.#mark.piece -= this.#first;
      this.#first = 0;
    }
  }

  clear(): void {
    this.#pieces = [];
    this.#first = this.#offset = this.#length = 0;
    this.#mark = { at: 0, piece: 0, offset: 0 };
  }

  /** Fills `into` with the bytes from `at` on, which must be there. */
  copy(at: number, into: Uint8Array): void {
    const mark = this.#mark;
    if (mark.at !== at || at < 0) this.#seek(at);
    for (let filled = 0; filled < into.length; ) {
      const piece = this.#pieces[mark.piece] as Uint8Array;
      const part = piece.subarray(mark.offset, mark.offset + into.length - filled);
      into.set(part, filled);
      filled += part.length;
      mark.offset += part.length;
      if (mark.offset < piece.length) continue;
      mark.piece++;
      mark.offset = 0;
    }
    mark.at = at + into.length;
  }

  #seek(at: number): void {
    const mark = this.#mark;
    mark.piece = this.#first;
    mark.offset = this.#offset + at;
    let piece = this.#pieces[mark.piece];
    while (piece !== undefined && mark.offset >= piece.length) {
      mark.offset -= piece.length;
      piece = this.#pieces[++mark.piece];
    }
  }
}

const NOTHING = new Uint8Array(0);
