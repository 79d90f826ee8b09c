import type { FallbackCpu } from "../../fallback/cpu.ts";

const PAGE_SIZE = 4096;

/**
 * Looks whether what a processor has made of code is still what it would make of it now: what is
 * stale does harm only to those who come to it again.
 */
export class CodeCheck {
  readonly #bytes = new WeakMap<object, readonly Uint8Array[]>();
  readonly #cpu: FallbackCpu;
  readonly #ram: Uint8Array;

  /** @param ram all of it */
  constructor(cpu: FallbackCpu, ram: Uint8Array) {
    this.#cpu = cpu;
    this.#ram = ram;
  }

  /** Between two runs, or slices. @returns what is wrong, if anything is */
  find(): string | undefined {
    const live = this.#cpu.liveCode;
    for (const { made, spans } of live.all) {
      const unguarded = spans.find((span) => !live.guards(span));
      if (unguarded !== undefined) return `code at ${text(unguarded)} is not guarded`;
      const now = spans.map(({ page, from, to }) =>
        this.#ram.subarray(PAGE_SIZE * page + from, PAGE_SIZE * page + to),
      );
      const before = this.#bytes.get(made);
      if (before === undefined) {
        this.#bytes.set(
          made,
          now.map((bytes) => bytes.slice()),
        );
        continue;
      }
      const stale = now.findIndex(
        (bytes, n) => Buffer.compare(bytes, before[n] as Uint8Array) !== 0,
      );
      if (stale >= 0) return `code at ${text(spans[stale])} is stale`;
    }
    return undefined;
  }
}

const text = (span: { readonly page: number; readonly from: number } | undefined): string =>
  span === undefined ? "" : (span.page * PAGE_SIZE + span.from).toString(16);
