import type { EntropySource } from "../core/backends.ts";
import { splitMix64 } from "../core/split-mix.ts";

/** The host's own. Web Cryptography, since `node:crypto` takes a moment to load. */
export const hostEntropy: EntropySource = {
  fill: (into) => {
    crypto.getRandomValues(into);
  },
};

/** 32 bits that nobody can guess. */
export const randomWord = (): number => crypto.getRandomValues(new Uint32Array(1))[0] ?? 0;

/** The same bytes in every run. */
export function madeUpEntropy(): EntropySource {
  const next = splitMix64();
  return {
    fill: (into) => {
      for (let i = 0; i < into.length; i++) into[i] = Number(next() & 0xffn);
    },
  };
}
