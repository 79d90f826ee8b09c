/** How often a region is made again for other windows before it gets along with any. */
const MAX_RESTLESS = 3;

/** What regions have turned out to need, by the places of their entries (`placeOf`). */
export class Experience {
  /** They access much outside the windows. */
  readonly slow = new Set<number>();
  /** Rare cases are frequent in them. */
  readonly thorough = new Set<number>();
  readonly #restless = new Map<number, number>();

  /** The windows that a region was made for have changed. */
  windowsChanged(place: number): void {
    this.#restless.set(place, (this.#restless.get(place) ?? 0) + 1);
  }

  /** Whether the windows have changed again and again. */
  isRestless(place: number): boolean {
    return (this.#restless.get(place) ?? 0) >= MAX_RESTLESS;
  }

  clear(): void {
    this.slow.clear();
    this.thorough.clear();
    this.#restless.clear();
  }
}
