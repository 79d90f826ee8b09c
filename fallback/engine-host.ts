import { NO_MEMORY_TO_RUN } from "../src/core/cpu.ts";
import { CR4 } from "./bits.ts";
import type { CodeState } from "./code-state.ts";
import type { Debugging } from "./debugging.ts";
import type { Departure } from "./departure.ts";
import { CpuException, VECTOR } from "./exceptions.ts";
import {
  type DecodedInstruction,
  InstructionTooLong,
  InvalidOpcode,
} from "./interpreter/decoder.ts";
import { segmentLimit } from "./interpreter/engine.ts";
import { type EngineHost, Leave, NonCanonical } from "./interpreter/host.ts";
import { type Outside, ProcedureContext } from "./interpreter/procedure-context.ts";
import { accessPort } from "./isa/ports.ts";
import { isCanonicalLinear, linearOf, linearOfHalves } from "./memory/linear.ts";
import { MmioNeeded } from "./memory/mmio.ts";
import type { Mmu } from "./memory/mmu.ts";
import { WatchedAccess } from "./memory/watchpoints.ts";
import type { Processor } from "./processor.ts";
import { SEGMENT_INDEX, STATE } from "./state.ts";
import { checkAccess } from "./system/segment-access.ts";

/** What the engine is told of the processor around it. */
export interface EngineSurroundings {
  readonly processor: Processor;
  readonly mmu: Mmu;
  readonly outside: Outside;
  readonly code: CodeState;
  readonly departure: Departure;
  readonly debugging: Debugging;
  /**
   * Whether another processor is to execute an instruction; undefined stands for what is none
   * here. That is a fault, unless this says otherwise.
   */
  leaves(instruction: DecodedInstruction | undefined): boolean;
  /** Whether there is such an instruction at all. */
  readonly leavesSome: boolean;
  /** As in {@link EngineHost}. */
  goesOn(resumes: boolean): boolean;
}

/** Thrown where code is to be fetched from an address that is not RAM. */
class NoMemory {}

export function engineHost(parts: EngineSurroundings): EngineHost {
  const { processor, mmu, outside, code, departure, debugging } = parts;
  const scratch = new Scratch(processor, mmu);
  const cannotContinue = (reason: string): Leave => {
    departure.leaveFor(departure.exits.cannotContinue(reason, new Uint8Array(0)));
    return new Leave();
  };
  return {
    place: () => code.place,
    fetchPage: (linear) => mmu.fetchPage(linear),
    probePage: (linear) => mmu.probePage(linear),
    page: (address) => {
      if (!mmu.memory.contains(address, 1)) throw new NoMemory();
      mmu.checkFetch(address);
      return mmu.memory.pageFrom(address);
    },
    mark: (page) => mmu.markCode(page),
    leaves: (instruction) => parts.leaves(instruction),
    leavesSome: parts.leavesSome,
    enter: (address) => debugging.enter(address),
    breaksAt: (address) => debugging.breaksAt(address),
    get breaks() {
      return debugging.breaks;
    },
    load: (low, high, bytes, forWrite) => {
      const at = canonical(low, high, bytes);
      if (forWrite) mmu.check(at, bytes, "write");
      scratch.read(at, bytes);
    },
    store: (low, high, bytes) => scratch.write(canonical(low, high, bytes, true), bytes),
    checkSegment: (index, offset, bytes, write) =>
      checkAccess(processor, index, offset, bytes, write ? "write" : "read"),
    procedure: (instruction) => {
      checkPrivilege(instruction, processor);
      instruction.form.instruction.procedure?.(new ProcedureContext(parts, instruction));
    },
    accessPort: (instruction) => {
      if (processor.cpl !== 0 || (processor.cr4 & CR4.DE) !== 0) return false;
      accessPort(instruction, processor, outside);
      return true;
    },
    jit: jitHost(parts, scratch),
    synchronise: () => code.synchronise(),
    goesOn: (resumes) => parts.goesOn(resumes),
    settleShadow: (budget) => processor.settleShadow(budget),
    keepShadow: (budget) => processor.keepShadow(budget),
    asFault: (thrown) => {
      if (thrown instanceof CpuException || thrown instanceof NonCanonical) return thrown;
      if (thrown instanceof InvalidOpcode) {
        if (!parts.leaves(undefined)) return new CpuException(VECTOR.UD);
        return cannotContinue("left to another processor");
      }
      if (thrown instanceof NoMemory) return cannotContinue(NO_MEMORY_TO_RUN);
      if (thrown instanceof InstructionTooLong) return new CpuException(VECTOR.GP, 0);
      if (thrown instanceof Leave) return thrown;
      if (thrown instanceof WatchedAccess) {
        debugging.holdForAccess();
        return new Leave();
      }
      if (!(thrown instanceof MmioNeeded)) throw thrown;
      departure.access(thrown);
      return new Leave();
    },
    nonCanonical: ({ form, address, segment }, { isStore }) => {
      // What has both reads its operand and then pushes.
      const onStackByItself = form.instruction.stack === true && (isStore || address === undefined);
      const onStack = onStackByItself || (address !== undefined && segment === SEGMENT_INDEX.ss);
      return new CpuException(onStack ? VECTOR.SS : VECTOR.GP, 0);
    },
  };
}

/** Accesses that need more than memory are not made, but left to the interpreter. */
function jitHost({ processor, mmu }: EngineSurroundings, scratch: Scratch): EngineHost["jit"] {
  const quietly = (low: number, high: number, bytes: number, access: (at: number) => boolean) => {
    try {
      return access(canonical(low, high, bytes));
    } catch (error) {
      const isFault = error instanceof CpuException || error instanceof NonCanonical;
      const isSeen = error instanceof MmioNeeded || error instanceof WatchedAccess;
      if (isFault || isSeen) return false;
      throw error;
    }
  };
  return {
    wordAt: (linear) => {
      const at = linearOf(linear);
      const address = at % 8 === 0 && isCanonicalLinear(at) ? mmu.probe(at, "read") : -1;
      return address < 0 ? undefined : mmu.memory.view.getBigUint64(address, true);
    },
    windowLosses: () => mmu.losses,
    moveWindow: (area, access, linear) => {
      const at = linearOf(linear);
      return isCanonicalLinear(at) && at >= 0 && mmu.moveWindow(area, access, at);
    },
    load: (low, high, bytes, forWrite) =>
      quietly(low, high, bytes, (at) => {
        if (forWrite) mmu.check(at, bytes, "write");
        scratch.read(at, bytes);
        return true;
      }),
    store: (low, high, bytes) =>
      quietly(low, high, bytes, (at) => {
        mmu.check(at, bytes, "write");
        // A region must not change code, which may be its own, before its instruction has ended.
        if (mmu.isCode(at, bytes)) return false;
        scratch.write(at, bytes);
        return true;
      }),
    touch: (low, high, forWrite) =>
      quietly(low, high, 1, (at) => {
        mmu.translate(at, forWrite ? "write" : "read");
        return true;
      }),
    checkSegment: (limit, offset, length) => {
      const { index, write } = segmentLimit(limit);
      return quietly(0, 0, 1, () => {
        checkAccess(processor, index, offset >>> 0, length + 1, write ? "write" : "read");
        return true;
      });
    },
  };
}

/** Where generated code leaves what it writes to memory, and finds what it reads. */
class Scratch {
  readonly #view: DataView;
  readonly #bytes: Uint8Array;
  readonly #mmu: Mmu;

  constructor({ view, buffer }: Processor, mmu: Mmu) {
    this.#view = view;
    this.#bytes = new Uint8Array(buffer, STATE.SCRATCH, 16);
    this.#mmu = mmu;
  }

  /** Numbers where there are such: a view of some bytes takes longer to make than all the rest. */
  read(linear: number, bytes: number): void {
    if (bytes === 1 || bytes === 2 || bytes === 4) {
      this.#view.setUint32(STATE.SCRATCH, this.#mmu.read(linear, bytes), true);
    } else if (bytes === 8) {
      this.#view.setBigUint64(STATE.SCRATCH, this.#mmu.read64(linear), true);
    } else this.#mmu.readBytes(linear, this.#bytes.subarray(0, bytes));
  }

  write(linear: number, bytes: number): void {
    if (bytes === 1 || bytes === 2 || bytes === 4) {
      this.#mmu.write(linear, bytes, this.#view.getUint32(STATE.SCRATCH, true));
    } else if (bytes === 8) {
      this.#mmu.write64(linear, this.#view.getBigUint64(STATE.SCRATCH, true));
    } else this.#mmu.writeBytes(linear, this.#bytes.subarray(0, bytes));
  }
}

function canonical(low: number, high: number, bytes: number, isStore = false): number {
  const at = linearOfHalves(low, high);
  if (!isCanonicalLinear(at) || !isCanonicalLinear(at + bytes - 1)) throw new NonCanonical(isStore);
  return at;
}

function checkPrivilege({ form }: DecodedInstruction, processor: Processor): void {
  if (form.instruction.cpl === 0 && processor.cpl !== 0) throw new CpuException(VECTOR.GP, 0);
}
