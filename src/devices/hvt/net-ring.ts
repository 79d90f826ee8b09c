import { GuestError } from "../../core/errors.ts";
import type { GuestMemory } from "../../core/guest-memory.ts";
import { gpa } from "../../core/units.ts";
import { writableBytes } from "./guest-pointer.ts";
import { SOLO5_R } from "./hvt-calls.ts";
import type { NetPort } from "./net-port.ts";

/** `HVT_RING_SIZE`: entries, of submissions and of commits. */
const RING_SIZE = 1024;

/** `struct hvt_ring`: the guest's line of indices, the host's, and the two arrays. */
const RING = {
  entTail: 0,
  entHead: 64,
  comTail: 68,
  needsKick: 72,
  entries: 128,
  commits: 128 + RING_SIZE * 32,
} as const;

/** `struct hvt_ring_entry` and `struct hvt_ring_commit`. */
const ENTRY = { operation: 0, handle: 4, data: 8, length: 16, id: 20, size: 32 } as const;
const COMMIT = { id: 0, ret: 4, length: 8, size: 16 } as const;

const NET_WRITE = 1;
const NET_READ = 2;

/** Bytes of the whole. */
export const RING_BYTES = RING.commits + RING_SIZE * COMMIT.size;

/**
 * The ring of submissions and commits that a guest and the host's network share (Solo5,
 * `hvt_ring.h`). Here it has no thread that watches it: the guest is always asked to kick, and what
 * it submitted is done when the kick returns.
 */
export class NetRing {
  readonly #memory: GuestMemory;
  readonly #base: number;
  readonly #nets: ReadonlyMap<number, NetPort>;
  /** The host's indices; the guest sees copies of them. Free-running, 32 bits. */
  #entHead = 0;
  #comTail = 0;

  /** @param base address of the ring, {@link RING_BYTES} of RAM */
  constructor(memory: GuestMemory, base: number, nets: ReadonlyMap<number, NetPort>) {
    this.#memory = memory;
    this.#base = base;
    this.#nets = nets;
    memory.writeU32(gpa(base + RING.needsKick), 1);
  }

  /**
   * Serves what the guest has submitted.
   * @throws GuestError when it submitted more than there is room for, or points outside RAM
   */
  kick(): void {
    const tail = this.#memory.readU32(gpa(this.#base + RING.entTail));
    const submitted = (tail - this.#entHead) >>> 0;
    if (submitted > RING_SIZE) {
      throw new GuestError("driver", `network ring: ${submitted} entries of ${RING_SIZE}`);
    }
    for (let i = 0; i < submitted; i++) {
      this.#serve(this.#base + RING.entries + ENTRY.size * (this.#entHead % RING_SIZE));
      this.#entHead = (this.#entHead + 1) >>> 0;
      this.#memory.writeU32(gpa(this.#base + RING.entHead), this.#entHead);
    }
  }

  /** Frames that are sent have no commit; operations that nobody knows are passed over. */
  #serve(entry: number): void {
    const memory = this.#memory;
    const operation = memory.readU32(gpa(entry + ENTRY.operation));
    const net = this.#nets.get(memory.readU32(gpa(entry + ENTRY.handle)));
    const data = memory.readU64(gpa(entry + ENTRY.data));
    const length = memory.readU32(gpa(entry + ENTRY.length));
    if (operation === NET_WRITE) net?.write(memory.slice(gpa(data), length));
    if (operation !== NET_READ) return;
    const taken = net?.ready ? net.read(writableBytes(memory, data, length)) : 0;
    const result = net === undefined ? SOLO5_R.EINVAL : taken > 0 ? SOLO5_R.OK : SOLO5_R.AGAIN;
    this.#commit(memory.readU32(gpa(entry + ENTRY.id)), result, taken);
  }

  #commit(id: number, result: number, length: number): void {
    const commit = this.#base + RING.commits + COMMIT.size * (this.#comTail % RING_SIZE);
    this.#memory.writeU32(gpa(commit + COMMIT.id), id);
    this.#memory.writeU32(gpa(commit + COMMIT.ret), result);
    this.#memory.writeU32(gpa(commit + COMMIT.length), length);
    this.#comTail = (this.#comTail + 1) >>> 0;
    this.#memory.writeU32(gpa(this.#base + RING.comTail), this.#comTail);
  }
}
