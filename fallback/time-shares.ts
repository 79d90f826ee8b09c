/**
 * How the guest's time divides between translated and interpreted code. Nobody can look at the clock
 * at every change between the two, which is many times a microsecond. But slices of execution differ
 * in how much of each they have: what an instruction of either kind takes is what explains the times
 * of all slices best (least squares), and then the time is divided in that proportion.
 */
export class TimeShares {
  /** Sums of products over all slices, in thousands of instructions and in nanoseconds. */
  #tt = 0;
  #ti = 0;
  #ii = 0;
  #tTime = 0;
  #iTime = 0;
  #translated = 0;
  #interpreted = 0;
  #time = 0;

  /** @param time nanoseconds of a slice, without what the JIT took for itself */
  add(translatedInstructions: number, interpretedInstructions: number, time: number): void {
    const translated = translatedInstructions / 1e3;
    const interpreted = interpretedInstructions / 1e3;
    this.#tt += translated * translated;
    this.#ti += translated * interpreted;
    this.#ii += interpreted * interpreted;
    this.#tTime += translated * time;
    this.#iTime += interpreted * time;
    this.#translated += translated;
    this.#interpreted += interpreted;
    this.#time += time;
  }

  /** The share of interpreted code in the time, 0 to 1. */
  get interpreted(): number {
    if (this.#translated === 0) return 1;
    const byInstructions = this.#interpreted / (this.#translated + this.#interpreted);
    const determinant = this.#tt * this.#ii - this.#ti * this.#ti;
    // All slices are of the same mixture, or of one kind.
    if (determinant <= 1e-9 * this.#tt * this.#ii) return byInstructions;
    const perTranslated = (this.#tTime * this.#ii - this.#iTime * this.#ti) / determinant;
    const perInterpreted = (this.#iTime * this.#tt - this.#tTime * this.#ti) / determinant;
    const translated = Math.max(0, perTranslated) * this.#translated;
    const interpreted = Math.max(0, perInterpreted) * this.#interpreted;
    const all = translated + interpreted;
    // Where time is counted in instructions slices take none.
    return all === 0 ? byInstructions : interpreted / all;
  }

  get time(): number {
    return this.#time;
  }
}
