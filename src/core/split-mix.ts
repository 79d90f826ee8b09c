const word = (value: bigint): bigint => BigInt.asUintN(64, value);

/** Sebastiano Vigna's SplitMix64 (public domain), from zero: the same 64-bit numbers every time. */
export function splitMix64(): () => bigint {
  let state = 0n;
  return () => {
    state = word(state + 0x9e37_79b9_7f4a_7c15n);
    const first = word((state ^ (state >> 30n)) * 0xbf58_476d_1ce4_e5b9n);
    const second = word((first ^ (first >> 27n)) * 0x94d0_49bb_1331_11ebn);
    return second ^ (second >> 31n);
  };
}
