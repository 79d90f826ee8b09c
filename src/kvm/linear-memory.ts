import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa, PAGE_SIZE } from "../core/units.ts";
import type { KvmVm } from "./addon.ts";

/** Guest memory by linear address. */
export class LinearMemory {
  readonly #vm: KvmVm;
  readonly #memory: GuestMemory;

  constructor(vm: KvmVm, memory: GuestMemory) {
    this.#vm = vm;
    this.#memory = memory;
  }

  /** @returns fewer bytes than asked for where a page is missing, or none */
  read(linear: bigint, length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    for (let read = 0; read < length; ) {
      const at = BigInt.asUintN(64, linear + BigInt(read));
      const size = Math.min(length - read, PAGE_SIZE - Number(at % BigInt(PAGE_SIZE)));
      const address = this.#vm.translate(at);
      if (!this.#memory.contains(address, size)) return bytes.slice(0, read);
      bytes.set(this.#memory.slice(gpa(address), size), read);
      read += size;
    }
    return bytes;
  }

  /** Of what {@link read} has read. */
  writeU8(linear: bigint, value: number): void {
    this.#memory.writeU8(gpa(this.#vm.translate(BigInt.asUintN(64, linear))), value);
  }
}
