import { RFLAGS } from "./bits.ts";
import type { CodeState } from "./code-state.ts";
import type { Events } from "./events.ts";
import type { CpuException } from "./exceptions.ts";
import type { Engine } from "./interpreter/engine.ts";
import { isCanonicalLinear } from "./memory/linear.ts";
import type { Mmu } from "./memory/mmu.ts";
import { PAGE_SIZE } from "./memory/physical.ts";
import { EVENT_SHADOWS, type Processor, SHADOW } from "./processor.ts";
import { breakpointsEnabled, instructionBreakpoint, trapAfter } from "./system/breakpoints.ts";

/** Its code. */
const HLT = 0xf4;
const STEPPING_FLAGS = RFLAGS.TF | RFLAGS.RF;

/** Executes instructions one by one, where something has to be looked at around each. */
export class Stepper {
  readonly #processor: Processor;
  readonly #mmu: Mmu;
  readonly #engine: Engine;
  readonly #code: CodeState;
  readonly #events: Events;
  readonly #halt: (() => void) | undefined;

  /** @param halt what HLT does; undefined where somebody else may have to execute it */
  constructor(
    processor: Processor,
    mmu: Mmu,
    engine: Engine,
    code: CodeState,
    events: Events,
    halt: (() => void) | undefined,
  ) {
    this.#processor = processor;
    this.#mmu = mmu;
    this.#engine = engine;
    this.#code = code;
    this.#events = events;
    this.#halt = halt;
  }

  /**
   * Under TF or RF, with breakpoints set, where accesses have to be aligned, or in the shadow of STI or MOV SS, if
   * there is anything that it holds off.
   */
  get needed(): boolean {
    const { shadow, systemFlags } = this.#processor;
    if ((systemFlags & STEPPING_FLAGS) !== 0) return true;
    if ((shadow & EVENT_SHADOWS) !== 0 && this.#events.waiting) return true;
    if (this.#processor.checksAlignment) return true;
    return breakpointsEnabled(this.#processor);
  }

  /**
   * One instruction, and the traps before and after it.
   * @returns whether it is done; if not, it left the guest, and will be executed again
   */
  step(): boolean {
    const processor = this.#processor;
    const mmu = this.#mmu;
    const { shadow, systemFlags } = processor;
    if (this.#haltsBehindSti()) return true;
    // MOV SS and POP SS hold off breakpoints on the instruction after them (vol. 3A §6.8.3).
    const held = (shadow & SHADOW.MOV_SS) !== 0;
    const breakpoint = held ? undefined : instructionBreakpoint(processor, this.#code.linearRip);
    if (breakpoint !== undefined) {
      this.deliver(breakpoint);
      return true;
    }
    mmu.checkAlignment(processor.checksAlignment);
    const stop = this.#engine.step();
    if (stop.kind === "leave") return false;
    mmu.mmio.clear();
    processor.shadow &= ~(shadow & EVENT_SHADOWS);
    if (stop.kind === "fault") {
      mmu.takeWatchpointHits();
      this.deliver(stop.exception);
      return true;
    }
    // RF holds off breakpoints for one instruction; IRET and POPF may have set it anew.
    if (stop.kind !== "changed") processor.changeSystemFlags(systemFlags & RFLAGS.RF, 0);
    this.#code.synchronise();
    this.#events.noticePriority();
    if (this.#events.takeTrap()) return true;
    // MOV SS and POP SS hold off their own traps until the next instruction has had its.
    if ((processor.shadow & SHADOW.MOV_SS) !== 0) return true;
    const stepped = (systemFlags & RFLAGS.TF) !== 0 && (processor.shadow & SHADOW.INT) === 0;
    processor.shadow &= ~SHADOW.INT;
    const trap = trapAfter(processor, mmu, stepped);
    if (trap !== undefined) this.deliver(trap);
    return true;
  }

  /**
   * HLT is what mostly follows STI: nothing has to be decoded and looked at for it.
   * @returns whether it was that, and is done
   */
  #haltsBehindSti(): boolean {
    const processor = this.#processor;
    const { shadow, systemFlags, cpl, code64 } = processor;
    if (this.#halt === undefined || !code64 || cpl !== 0) return false;
    const only = (shadow & EVENT_SHADOWS) === SHADOW.STI && (systemFlags & STEPPING_FLAGS) === 0;
    if (!only || breakpointsEnabled(processor)) return false;
    const linear = processor.ripLinear;
    const page = isCanonicalLinear(linear) ? this.#mmu.probePage(linear) : undefined;
    if (page === undefined) return false;
    const at = page.address + (linear & (PAGE_SIZE - 1));
    if (this.#mmu.memory.view.getUint8(at) !== HLT) return false;
    this.#engine.budget -= 1;
    processor.shadow &= ~EVENT_SHADOWS;
    processor.rip += 1n;
    this.#halt();
    return true;
  }

  /** Takes from the budget: handlers that fault at once must not keep the thread for ever. */
  deliver(exception: CpuException): void {
    this.#engine.budget -= 1;
    this.#events.deliverException(exception);
  }
}
