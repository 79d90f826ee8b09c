/** What a processor has made of a guest's code, to be kept for the next run of the same guest. */
export interface Translations {
  /** ASCII. */
  readonly text: string;
  readonly bytes: Uint8Array<ArrayBuffer>;
}

/** Where translations are between runs of a guest. */
export interface TranslationStore {
  read(): Translations | undefined;
  /** @param translations undefined: what is there is of no use any more */
  replace(translations: Translations | undefined): void;
}
