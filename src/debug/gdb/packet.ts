/**
 * Packets of GDB's remote serial protocol (GDB manual, appendix E.1): `$` data `#` checksum, where
 * `}` escapes a byte of the data. Bytes in between are acknowledgements and the interrupt.
 */

const DOLLAR = 0x24;
const HASH = 0x23;
const PLUS = 0x2b;
const MINUS = 0x2d;
const STAR = 0x2a;
const ESCAPE = 0x7d;
const ESCAPE_BIT = 0x20;
const INTERRUPT = 0x03;

/** Bytes of a packet's data at most, in either direction: `PacketSize`. */
export const PACKET_SIZE = 0x4000;

/** What arrives. */
export type Received =
  /** One character a byte. */
  | { readonly kind: "packet"; readonly data: string }
  /** A packet whose checksum is wrong, or that is too long. */
  | { readonly kind: "damaged" }
  | { readonly kind: "ack" }
  | { readonly kind: "nak" }
  /** Ctrl-C. */
  | { readonly kind: "interrupt" };

type State = "between" | "data" | "escaped" | "checksum";

/** Takes packets out of a stream of bytes. What is none of its business it skips. */
export class PacketReader {
  #state: State = "between";
  #data: number[] = [];
  #sum = 0;
  #checksum = "";
  #tooLong = false;

  /** @param receive is called for each thing as it is complete */
  feed(bytes: Uint8Array, receive: (received: Received) => void): void {
    for (const byte of bytes) {
      const received = this.#take(byte);
      if (received !== undefined) receive(received);
    }
  }

  #take(byte: number): Received | undefined {
    switch (this.#state) {
      case "between":
        return this.#between(byte);
      case "checksum":
        return this.#check(byte);
      case "escaped":
        this.#sum += byte;
        this.#state = "data";
        this.#append(byte ^ ESCAPE_BIT);
        return undefined;
      case "data":
        if (byte === HASH) this.#state = "checksum";
        // A packet that ends without its checksum, and another.
        else if (byte === DOLLAR) this.#begin();
        else {
          this.#sum += byte;
          if (byte === ESCAPE) this.#state = "escaped";
          else this.#append(byte);
        }
        return undefined;
    }
  }

  #between(byte: number): Received | undefined {
    switch (byte) {
      case DOLLAR:
        this.#begin();
        return undefined;
      case PLUS:
        return { kind: "ack" };
      case MINUS:
        return { kind: "nak" };
      case INTERRUPT:
        return { kind: "interrupt" };
      default:
        return undefined;
    }
  }

  #begin(): void {
    this.#state = "data";
    this.#data = [];
    this.#sum = 0;
    this.#checksum = "";
    this.#tooLong = false;
  }

  #append(byte: number): void {
    if (this.#data.length < PACKET_SIZE) this.#data.push(byte);
    else this.#tooLong = true;
  }

  #check(byte: number): Received | undefined {
    this.#checksum += String.fromCharCode(byte);
    if (this.#checksum.length < 2) return undefined;
    this.#state = "between";
    const intact = /^[0-9a-f]{2}$/i.test(this.#checksum) && !this.#tooLong;
    if (!intact || Number.parseInt(this.#checksum, 16) !== (this.#sum & 0xff)) {
      return { kind: "damaged" };
    }
    return { kind: "packet", data: latin1(this.#data) };
  }
}

const SPECIAL: ReadonlySet<number> = new Set([DOLLAR, HASH, STAR, ESCAPE]);

/** The bytes of a packet. @param data one character a byte */
export function encodePacket(data: string): Uint8Array {
  const bytes: number[] = [DOLLAR];
  let sum = 0;
  const put = (byte: number): void => {
    bytes.push(byte);
    sum += byte;
  };
  for (let i = 0; i < data.length; i++) {
    const byte = data.charCodeAt(i);
    if (SPECIAL.has(byte)) {
      put(ESCAPE);
      put(byte ^ ESCAPE_BIT);
    } else put(byte);
  }
  const checksum = (sum & 0xff).toString(16).padStart(2, "0");
  bytes.push(HASH, checksum.charCodeAt(0), checksum.charCodeAt(1));
  return Uint8Array.from(bytes);
}

export const ACK: Uint8Array = Uint8Array.of(PLUS);
export const NAK: Uint8Array = Uint8Array.of(MINUS);

/** One character a byte. */
export function latin1(bytes: Iterable<number>): string {
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return text;
}
