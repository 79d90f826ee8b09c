import type { Picture } from "../../src/core/picture.ts";
import type { ToPage } from "../messages.ts";

/** Milliseconds between two looks at the screen: what it costs to make pictures is the guest's time. */
const INTERVAL = 100;

/** Shows the page what the guest paints, while it is in a graphics mode. */
export class PageScreen {
  readonly #picture: () => Picture | undefined;
  readonly #send: (message: ToPage) => void;
  readonly #timer: ReturnType<typeof setInterval>;
  #shown: Picture | undefined;
  /** Whether the page has still to paint the last one. */
  #busy = false;

  constructor(picture: () => Picture | undefined, send: (message: ToPage) => void) {
    this.#picture = picture;
    this.#send = send;
    this.#timer = setInterval(() => this.#look(), INTERVAL);
  }

  /** The page is ready for the next picture. */
  painted(): void {
    this.#busy = false;
  }

  /** Shows the last picture. */
  close(): void {
    clearInterval(this.#timer);
    this.#busy = false;
    this.#look();
  }

  #look(): void {
    if (this.#busy) return;
    const picture = this.#picture();
    if (isSame(picture, this.#shown)) return;
    this.#shown = picture;
    this.#busy = true;
    this.#send({ kind: "picture", picture });
  }
}

function isSame(one: Picture | undefined, other: Picture | undefined): boolean {
  if (one === undefined || other === undefined) return one === other;
  if (one.width !== other.width || one.height !== other.height) return false;
  for (let i = 0; i < one.pixels.length; i++) if (one.pixels[i] !== other.pixels[i]) return false;
  return true;
}
