import { emitMeaning } from "../emission/code-emitter.ts";
import type { Miss, SlowAccess } from "../emission/guest-access.ts";
import type { Block } from "../interpreter/block.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { HEADER } from "../interpreter/record.ts";
import { branchTarget, registerSlot } from "../interpreter/translator.ts";
import { unitFault } from "../interpreter/units.ts";
import { variant } from "../isa/variant.ts";
import type { SegmentTraits } from "../segment-traits.ts";
import {
  JUMP_CACHE,
  JUMP_CACHE_ENTRIES,
  JUMP_CACHE_ENTRY,
  JUMP_CACHE_ENTRY_SIZE,
  JUMP_CACHE_SHIFT,
  REGION_LINKS,
  STATE,
  USER_CODE,
} from "../state.ts";
import { ByteSink } from "../wasm/encoding.ts";
import { type I32, type I64, i32, i64 } from "../wasm/expression.ts";
import {
  callResult,
  FunctionBuilder,
  indirectResult,
  type Label,
  type Local,
} from "../wasm/function-builder.ts";
import { endOf, isCall, isReturn, resumes } from "./discovery.ts";
import { EXIT_RECORD, type ExitReason, FIRST_UNAVOIDABLE, LOOK_EVERY } from "./exit-records.ts";
import type { Graph, Inlining, Node } from "./graph.ts";
import { JitEmitter } from "./jit-emitter.ts";
import { ANY_FLAGS, type FlagState, IN_STATE, LazyFlags } from "./lazy-flags.ts";
import { REGION_LEFT, REGION_SIGNATURE, REGION_TABLE } from "./protocol.ts";
import {
  ALL,
  commonFacts,
  NO_STACK,
  type RegisterFacts,
  RegisterFile,
  type StackFacts,
} from "./register-file.ts";
import { StackFrame } from "./stack-frame.ts";
import { unseenFlags } from "./unseen-flags.ts";

/** What the code of a region refers to outside of it. */
export interface RegionEnvironment {
  /** Undefined: accesses outside the windows are left to the interpreter. */
  readonly slow: SlowAccess | undefined;
  /** Whether what is rare is done by the region too. */
  readonly thorough: boolean;
  /** Index of the function that makes the flags in the state known. */
  readonly settleFlags: number;
  /** Index of (number: i32) → i32: zero, or the region has to stop. */
  readonly procedure: number;
  /** Index of the region's own function. */
  readonly self: number;
  /** Index of the type of regions. */
  readonly regionType: number;
  /** The bits of CR0 and CR4 that decide which units may be used. */
  readonly unitControls: number;
  readonly segments: SegmentTraits;
  /** Number of an instruction for {@link procedure}. */
  procedureNumber(instruction: DecodedInstruction): number;
  /** A record of where the region leaves. */
  exitRecord(rip: bigint, unused: number, reason: ExitReason, miss?: Miss): number;
  /** The same of where a jump leads out of the region that ends a block. */
  jumpRecord(block: Block): number;
  /** The place in the table of regions of what is at an offset. */
  slotOf(rip: bigint): number;
}

/** Bits of an address by which the targets of a jump are told apart. */
interface TargetHash {
  readonly shift: number;
  readonly mask: number;
  /** By the bits: the index of the target. */
  readonly order: readonly number[];
}

const MAX_HASH_BITS = 8;

/** Looks for bits by which all differ. */
function findHash(targets: readonly bigint[]): TargetHash | undefined {
  if (targets.length === 0) return undefined;
  for (let bits = Math.ceil(Math.log2(targets.length)); bits <= MAX_HASH_BITS; bits++) {
    const mask = 2 ** bits - 1;
    for (let shift = 0; shift <= 16; shift++) {
      const places = targets.map((rip) => Number(rip >> BigInt(shift)) & mask);
      if (new Set(places).size < targets.length) continue;
      const order = Array.from({ length: mask + 1 }, (_, place) => places.indexOf(place));
      return { shift, mask, order };
    }
  }
  return undefined;
}

const RSP = 4;
const RBP = 5;
/** What a return takes from the stack in 64-bit mode. */
const RETURN_BYTES = 8;

/** Operand codes of floating point in XMM registers. */
const FLOAT_CODE = /^[VWU][ps][sd]$/;

/** Whether a loop has an instruction with a general register as its operand. */
function mayChange(loop: Node, register: number): boolean {
  const hasOperand = ({ block }: Node): boolean =>
    block.instructions.some((instruction) =>
      instruction.form.operands.some(
        (spec) => registerSlot(spec, instruction) === STATE.GPR + 8 * register,
      ),
    );
  return hasOperand(loop) || loop.dominated.some((node) => mayChange(node, register));
}

/** Whether a block has floating point that MXCSR has a say in. */
const computes = ({ instructions }: Block): boolean =>
  instructions.some(({ form }) => form.operands.some(({ code }) => FLOAT_CODE.test(code)));
/** Instead of a record: the region returns where to go on; or goes on in another one, if there is one. */
const RETURNS = 0;
const CHAINS = 1;
/** As the latter, but the JIT should look at where a jump leads. */
const LEARNS = 2;

/** Code that is only known when all of the region's has been made: which registers it uses. */
interface Gap {
  readonly at: number;
  readonly depth: number;
  readonly code: "load" | "save" | "frame";
  /** Which registers are to be saved, as {@link RegisterFacts.dirty}. */
  readonly dirty: number;
}

/** Emits a graph of blocks as one function, structured by dominators (Ramsey, "Beyond Relooper"). */
export class RegionCode {
  readonly #fn = new FunctionBuilder(REGION_SIGNATURE.parameters);
  readonly #graph: Graph;
  readonly #env: RegionEnvironment;
  readonly #registers: RegisterFile;
  readonly #flags: LazyFlags;
  readonly #emitter: JitEmitter;
  readonly #depth: Local<"i32">;
  readonly #budget: Local<"i32">;
  /** Where to go on outside. */
  readonly #rip: Local<"i64">;
  /** Record of where the region is left in the middle, or {@link RETURNS} and its like. */
  readonly #record: Local<"i32">;
  /** Which entry of a loop with several is meant, if there are such loops. */
  readonly #way: Local<"i32"> | undefined;
  /** Instructions of the region: no path that does not branch back has more. */
  readonly #longest: number;
  /** Code may rely on MXCSR's usual modes: they are looked at where they could have changed. */
  readonly #usualModes: boolean;
  readonly #labels = new Map<Node, Label>();
  readonly #flagsIn = new Map<Node, FlagState | undefined>();
  /** Of merges: what is known of registers on all ways there. */
  readonly #factsIn = new Map<Node, RegisterFacts>();
  /** Of loops: what each branch back to them has to find. */
  readonly #stackOf = new Map<Node, StackFacts>();
  /** Undefined if accesses are not compared with windows, or outside 64-bit mode. */
  readonly #frame: StackFrame | undefined;
  readonly #gaps: Gap[] = [];
  #exit!: Label;
  /** For exits where the flags are those that the state has. */
  #exitWithoutFlags!: Label;
  #node!: Node;
  #index = 0;

  constructor(graph: Graph, env: RegionEnvironment) {
    this.#graph = graph;
    this.#env = env;
    const fn = this.#fn;
    this.#depth = fn.parameter(0, "i32");
    this.#budget = fn.local("i32");
    this.#rip = fn.local("i64");
    this.#record = fn.local("i32");
    const { codeSize, limit } = graph.entry.block;
    this.#registers = new RegisterFile(fn, codeSize !== 64);
    const locals = {
      first: fn.local("i64"),
      second: fn.local("i64"),
      third: fn.local("i64"),
      kind: fn.local("i32"),
    };
    this.#flags = new LazyFlags(fn, locals, env.settleFlags);
    this.#usualModes = !env.thorough && graph.nodes.some(({ block }) => computes(block));
    const isFramed = codeSize === 64 && env.slow === undefined;
    this.#frame = isFramed ? new StackFrame(fn.local("i64")) : undefined;
    if (isFramed) this.#registers.loaded({ top: 0, frame: undefined });
    const mode = {
      ...{ codeSize, limit, segments: env.segments },
      ...{ usualModes: this.#usualModes, frame: this.#frame },
    };
    this.#emitter = new JitEmitter(fn, env, mode, this.#flags, this.#registers, {
      interpret: (reason, miss) => this.#interpret(reason, miss),
      jump: (target) => this.#jump(target),
    });
    const hasEntries = graph.nodes.some(({ entries }) => entries !== undefined);
    this.#way = hasEntries ? fn.local("i32") : undefined;
    this.#longest = graph.nodes.reduce((sum, { block }) => sum + block.offsets.length, 0);
  }

  /** The function's body. */
  build(): Uint8Array {
    const fn = this.#fn;
    const zero = i32.const(0);
    fn.set(this.#budget, i32.load(zero, STATE.BUDGET));
    fn.if(i32.ltS(this.#budget, i32.const(this.#longest)), () => {
      fn.store(zero, i64.const(this.#graph.entry.block.rip), STATE.RIP);
      fn.return(i64.const(REGION_LEFT.INTERPRET));
    });
    this.#gap("load");
    fn.block((outer) => {
      this.#exitWithoutFlags = outer;
      fn.block((inner) => {
        this.#exit = inner;
        this.#flags.state = IN_STATE;
        this.#flagsIn.set(this.#graph.entry, IN_STATE);
        this.#gap("frame");
        this.#checkModes(this.#graph.entry.block.rip, 0);
        if (this.#graph.entry.isLoop) this.#loadFlags();
        this.#tree(this.#graph.entry);
      });
      this.#flags.state = ANY_FLAGS;
      this.#flags.save();
    });
    this.#flags.state = IN_STATE;
    this.#leave();
    this.#fillGaps();
    return fn.finish();
  }

  /** A node and all that it dominates. */
  #tree(node: Node): void {
    if (!node.isLoop) {
      this.#within(
        node,
        node.dominated.filter(({ isMerge }) => isMerge),
      );
      return;
    }
    this.#fn.loop((start) => {
      this.#labels.set(node, start);
      this.#within(
        node,
        node.dominated.filter(({ isMerge }) => isMerge),
      );
    });
  }

  /** The node inside one block for each merge it dominates: a branch to its end arrives there. */
  #within(node: Node, merges: readonly Node[]): void {
    const last = merges.at(-1);
    if (last === undefined) {
      this.#block(node);
      return;
    }
    this.#fn.block((end) => {
      this.#labels.set(last, end);
      this.#within(node, merges.slice(0, -1));
    });
    this.#tree(last);
  }

  #block(node: Node): void {
    const { block } = node;
    const { instructions } = block;
    const fn = this.#fn;
    this.#flags.state = node.isLoop || node.isMerge ? ANY_FLAGS : this.#flagsIn.get(node);
    if (node.isLoop) this.#beginLoop(node);
    else if (node.isMerge) this.#registers.facts = this.#factsIn.get(node) ?? this.#registers.facts;
    if (node.entries !== undefined) {
      this.#chooseEntry(node, node.entries);
      return;
    }
    fn.set(this.#budget, i32.sub(this.#budget, i32.const(instructions.length)));
    const unseen = unseenFlags(instructions);
    for (const [index, instruction] of instructions.entries()) {
      // What is emitted at a branch's end has made another node the current one.
      this.#node = node;
      this.#index = index;
      this.#flags.unseen = unseen[index] === true;
      if (!this.#instruction(instruction)) return;
    }
    this.#continue(endOf(block), node.inlining);
  }

  /**
   * Of what is known before a loop only the stack's place is kept, which loops hardly ever change: a
   * branch back that finds it elsewhere leaves the region.
   */
  #beginLoop(node: Node): void {
    const { top, frame } = this.#factsIn.get(node) ?? this.#registers.facts;
    const stack = { top, frame: mayChange(node, RBP) ? undefined : frame };
    this.#registers.forget(stack);
    this.#stackOf.set(node, stack);
  }

  /** Returns whether control may go on behind it. */
  #instruction(instruction: DecodedInstruction): boolean {
    const { form, operandSize, address } = instruction;
    const { meaning, ends, translation, repeat } = form.instruction;
    const isRepeated = repeat !== undefined && instruction.repeat !== undefined;
    const translated = isRepeated ? undefined : translation;
    const next = this.#ripAt(this.#index + 1);
    const { codeSize, limit } = this.#node.block;
    const leaves = branchTarget(instruction, codeSize, next) > limit;
    const faults = leaves || unitFault(form.unit, this.#env.unitControls) !== undefined;
    const canResume = ends === undefined || resumes(instruction);
    if (faults || (meaning === undefined && translated === undefined && !canResume)) {
      this.#interpret("instruction");
      return false;
    }
    if (meaning === undefined && translated === undefined) {
      this.#procedure(instruction);
      // It may have taken more from the budget than its due.
      if (ends !== undefined) this.#checkBudget(next);
      return true;
    }
    this.#fn.scoped(() => {
      const { inlining } = this.#node;
      this.#emitter.begin(instruction, next, isReturn(instruction) ? inlining?.back : undefined);
      if (translated !== undefined) {
        translated(this.#emitter, instruction);
        return;
      }
      const { operands } = variant(form, operandSize, address !== undefined, codeSize === 64);
      emitMeaning(this.#emitter, meaning, operands);
    });
    return canResume;
  }

  /** Offset of an instruction of the block. */
  #ripAt(index: number): bigint {
    const { block } = this.#node;
    const offset = block.offsets[index];
    if (offset === undefined) return endOf(block);
    return BigInt.asUintN(block.codeSize === 64 ? 64 : 32, block.rip + BigInt(offset));
  }

  /** Leaves before the instruction under way. */
  #interpret(reason: ExitReason, miss?: Miss): void {
    const unused = this.#node.block.offsets.length - this.#index;
    if (miss !== undefined) this.#fn.store(i32.const(0), miss.address, STATE.ADDRESS);
    this.#leaveBy(this.#env.exitRecord(this.#ripAt(this.#index), unused, reason, miss));
  }

  #leaveBy(record: number): void {
    this.#fn.set(this.#record, i32.const(record));
    this.#branchOut();
  }

  #branchOut(): void {
    this.#flags.tell();
    const without = this.#flags.state === IN_STATE;
    this.#fn.branch(without ? this.#exitWithoutFlags : this.#exit);
  }

  /** Before control comes together, the flags are in the variables. */
  #loadFlags(): void {
    this.#flags.fetch();
    this.#flags.tell();
  }

  #leaveTo(rip: I64, how = CHAINS): void {
    this.#fn.set(this.#rip, rip);
    this.#fn.set(this.#record, i32.const(how));
    this.#branchOut();
  }

  /** A branch of the guest. */
  #jump(target: I64): void {
    const instruction = this.#node.block.instructions[this.#index] as DecodedInstruction;
    const { inlining } = this.#node;
    if (isCall(instruction)) this.#call(target);
    else if (inlining !== undefined && isReturn(instruction)) {
      this.#continue(inlining.back, inlining.caller);
    } else if (isReturn(instruction)) this.#return(target);
    else if (target.constant === undefined) this.#jumpThroughTable(target);
    else this.#continue(BigInt.asUintN(64, target.constant), inlining);
  }

  /** To whoever has called, without the way that all others leave by. */
  #return(target: I64): void {
    const to = this.#fn.let(target);
    this.#flags.tell();
    this.#save();
    this.#fn.return(to);
  }

  /** A jump whose target is only known when it is made: to the nodes that it has led to before. */
  #jumpThroughTable(target: I64): void {
    const { targets, inlining } = this.#node;
    const known = targets.filter((rip) => this.#graph.at(rip, inlining) !== undefined);
    const fn = this.#fn;
    const to = fn.let(target);
    const hash = findHash(known);
    if (hash === undefined) {
      this.#leaveUnknown(to);
      return;
    }
    const place = i64.and(i64.shrU(to, i64.const(hash.shift)), i64.const(hash.mask));
    const nest = (count: number, labels: readonly Label[]): void => {
      if (count < known.length) {
        fn.block((label) => nest(count + 1, [...labels, label]));
        const rip = known[count] as bigint;
        fn.if(i64.ne(to, i64.const(rip)), () => this.#leaveUnknown(to));
        this.#continue(rip, inlining);
        return;
      }
      const other = labels[0] as Label;
      const byPlace = hash.order.map((index) => labels[index] ?? other);
      fn.branchTable(i32.wrap(place), byPlace, other);
    };
    nest(0, []);
  }

  /** A jump leads to where it has not been seen to lead yet. */
  #leaveUnknown(to: Local<"i64">): void {
    const fn = this.#fn;
    const record = i32.const(this.#env.jumpRecord(this.#node.block));
    const count = fn.let(i32.add(i32.load(record, EXIT_RECORD.COUNT), i32.const(1)));
    fn.store(record, count, EXIT_RECORD.COUNT);
    fn.if(i32.eqz(i32.and(count, i32.const(LOOK_EVERY - 1))), () => {
      fn.store(i32.const(0), record, STATE.RECORD);
      this.#leaveTo(to, LEARNS);
    });
    this.#leaveTo(to);
  }

  /** Goes on at the entry of a loop that is meant. */
  #chooseEntry(node: Node, entries: readonly Node[]): void {
    const nest = (labels: readonly Label[]): void => {
      const entry = entries[labels.length];
      if (entry === undefined) {
        this.#fn.branchTable(this.#way as Local<"i32">, labels, labels[0] as Label);
        return;
      }
      this.#fn.block((label) => nest([...labels, label]));
      this.#node = node;
      this.#inline(entry);
    };
    nest([]);
  }

  /** Goes on at an offset: in this region if it is there. */
  #continue(rip: bigint, inlining: Inlining | undefined): void {
    const from = this.#node;
    const target = this.#graph.at(rip, inlining);
    const to = target?.via?.node ?? target;
    // Where an inlined callee found no room, the way behind the call is not in the graph.
    const isWay = to !== undefined && from.successors.includes(to);
    if (to === undefined || !isWay || !this.#graph.canBranch(from, to)) {
      this.#leaveTo(i64.const(rip));
      return;
    }
    if (target?.via !== undefined) {
      this.#fn.set(this.#way as Local<"i32">, i32.const(target.via.index));
    }
    if (to.order <= from.order) {
      if (!this.#hasStackOf(to)) {
        this.#leaveTo(i64.const(rip));
        return;
      }
      this.#loadFlags();
      this.#checkBudget(rip);
      this.#fn.branch(this.#labels.get(to) as Label);
    } else if (to.isMerge) {
      this.#loadFlags();
      const { facts } = this.#registers;
      this.#factsIn.set(to, commonFacts(facts, this.#factsIn.get(to) ?? facts));
      this.#fn.branch(this.#labels.get(to) as Label);
    } else {
      this.#inline(to);
    }
  }

  #hasStackOf(loop: Node): boolean {
    const wanted = this.#stackOf.get(loop) ?? NO_STACK;
    const { top, frame } = this.#registers.facts;
    const isSame = (is: number | undefined, be: number | undefined) =>
      be === undefined || is === be;
    return isSame(top, wanted.top) && isSame(frame, wanted.frame);
  }

  /** The code of a node that control comes to from here alone. */
  #inline(to: Node): void {
    const { state } = this.#flags;
    const { facts } = this.#registers;
    const [node, index] = [this.#node, this.#index];
    if (to.isLoop) this.#loadFlags();
    this.#flagsIn.set(to, state);
    this.#emitter.within(() => this.#tree(to));
    this.#flags.state = state;
    this.#registers.facts = facts;
    this.#node = node;
    this.#index = index;
  }

  /** The region is left when the budget might not last to the next time that this is asked. */
  #checkBudget(rip: bigint): void {
    const fn = this.#fn;
    fn.if(i32.ltS(this.#budget, i32.const(this.#longest)), () => {
      this.#leaveBy(this.#env.exitRecord(rip, 0, "budget"));
    });
  }

  /** A call of the guest: the return address has been pushed. */
  #call(target: I64): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const back = endOf(this.#node.block);
    const rip = target.constant === undefined ? fn.let(target) : target;
    const { call } = this.#node;
    if (call !== undefined && rip.constant !== undefined) {
      const known = BigInt.asUintN(64, rip.constant);
      if (this.#graph.at(known, call) !== undefined) {
        this.#continue(known, call);
        return;
      }
    }
    fn.if(i32.eqz(this.#depth), () => this.#leaveTo(rip, RETURNS));
    const slot = rip.constant === undefined ? this.#regionAt(rip) : undefined;
    if (slot !== undefined) fn.if(i32.eqz(slot), () => this.#leaveTo(rip, RETURNS));
    this.#flags.tell();
    this.#save();
    fn.store(zero, rip, STATE.RIP);
    const depth = i32.sub(this.#depth, i32.const(1));
    const result = slot === undefined ? this.#callKnown(rip, depth) : this.#callAt(slot, depth);
    fn.set(this.#rip, result);
    fn.if(i64.ne(this.#rip, i64.const(back)), () => {
      // A retpoline's call never comes back, but leads on.
      if (this.#graph.at(back, this.#node.inlining) === undefined) this.#chain();
      fn.return(this.#rip);
    });
    const { top, frame } = this.#registers.facts;
    this.#load();
    this.#checkStack({ top: top === undefined ? undefined : top + RETURN_BYTES, frame }, back, 0);
    this.#checkModes(back, 0);
    this.#checkBudget(back);
    this.#continue(back, this.#node.inlining);
  }

  /** The region itself is called directly, others through the table. */
  #callKnown({ constant }: I64, depth: I32): I64 {
    const rip = BigInt.asUintN(64, constant as bigint);
    if (rip === this.#graph.entry.block.rip) return callResult("i64", this.#env.self, depth);
    const link = i32.load(i32.const(0), REGION_LINKS + 4 * this.#env.slotOf(rip));
    return this.#callAt(link, depth);
  }

  #callAt(slot: I32, depth: I32): I64 {
    return indirectResult("i64", REGION_TABLE, this.#env.regionType, slot, depth);
  }

  /** Goes on in the region at the offset to return, if there is one: its result is this one's. */
  #chain(): void {
    const fn = this.#fn;
    const slot = this.#regionAt(this.#rip);
    fn.if(slot, () => {
      fn.store(i32.const(0), this.#rip, STATE.RIP);
      fn.return(this.#callAt(slot, i32.sub(this.#depth, i32.const(1))));
    });
  }

  /** The slot of the region at an offset, as the dispatch loop finds it; 0 without one. */
  #regionAt(rip: I64): Local<"i32"> {
    const fn = this.#fn;
    const { block } = this.#graph.entry;
    const base = BigInt.asUintN(64, block.linear - block.rip);
    const linear = fn.let(i64.add(rip, i64.const(base)));
    const hash = i64.xor(linear, i64.shrU(linear, i64.const(JUMP_CACHE_SHIFT)));
    const index = i32.and(i32.wrap(hash), i32.const(JUMP_CACHE_ENTRIES - 1));
    const entry = fn.let(i32.mul(index, i32.const(JUMP_CACHE_ENTRY_SIZE)));
    const slot = fn.local("i32");
    fn.set(slot, i32.const(0));
    const key = block.user ? i64.xor(linear, i64.const(USER_CODE)) : linear;
    const isKnown = i64.eq(i64.load(entry, JUMP_CACHE + JUMP_CACHE_ENTRY.RIP), key);
    fn.if(isKnown, () => {
      const header = i32.load(entry, JUMP_CACHE + JUMP_CACHE_ENTRY.BLOCK);
      fn.set(slot, i32.load(header, HEADER.REGION));
    });
    return slot;
  }

  /** An instruction without code. */
  #procedure(instruction: DecodedInstruction): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const unused = this.#node.block.offsets.length - this.#index;
    this.#flags.tell();
    fn.set(this.#budget, i32.add(this.#budget, i32.const(unused)));
    this.#save();
    fn.store(zero, i64.const(this.#ripAt(this.#index + 1)), STATE.RIP);
    const number = this.#env.procedureNumber(instruction);
    fn.if(callResult("i32", this.#env.procedure, i32.const(number)), () =>
      fn.return(i64.const(REGION_LEFT.STOP)),
    );
    const { facts } = this.#registers;
    this.#load();
    fn.set(this.#budget, i32.sub(this.#budget, i32.const(unused)));
    this.#checkStack(facts, this.#ripAt(this.#index + 1), unused - 1);
    this.#checkModes(this.#ripAt(this.#index + 1), unused - 1);
  }

  /** The region is left, before what is at `rip`, unless the stack is where it is expected. */
  #checkStack({ top, frame }: StackFacts, rip: bigint, unused: number): void {
    const check = (register: number, distance: number | undefined): void => {
      if (distance === undefined || this.#frame === undefined) return;
      const wrong = i64.ne(this.#registers.general(register), this.#frame.at(distance));
      this.#fn.if(wrong, () => this.#leaveBy(this.#env.exitRecord(rip, unused, "stack")));
    };
    check(RSP, top);
    check(RBP, frame);
    this.#registers.loaded({ top, frame });
  }

  /** The region is left, before what is at `rip`, if its floating point would not be right. */
  #checkModes(rip: bigint, unused: number): void {
    if (!this.#usualModes) return;
    this.#fn.if(i32.eqz(this.#emitter.hasUsualModes()), () => {
      this.#leaveBy(this.#env.exitRecord(rip, unused, "case"));
    });
  }

  /** All that the state lacks while the region runs. */
  #save(dirty = this.#registers.facts.dirty): void {
    this.#gap("save", dirty);
    this.#flags.save();
    this.#fn.store(i32.const(0), this.#budget, STATE.BUDGET);
  }

  #load(): void {
    this.#gap("load");
    this.#registers.loaded();
    this.#flags.state = IN_STATE;
    this.#fn.set(this.#budget, i32.load(i32.const(0), STATE.BUDGET));
  }

  /** The one way out. */
  #leave(): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    fn.if(i32.gtU(this.#record, i32.const(LEARNS)), () => {
      const unused = i32.load8U(this.#record, EXIT_RECORD.UNUSED);
      fn.set(this.#budget, i32.add(this.#budget, unused));
      fn.store(zero, i64.load(this.#record, EXIT_RECORD.RIP), STATE.RIP);
      const before = i32.load(this.#record, EXIT_RECORD.COUNT);
      const count = fn.let(i32.add(before, i32.const(1)));
      fn.store(this.#record, count, EXIT_RECORD.COUNT);
      fn.set(this.#rip, i64.const(REGION_LEFT.INTERPRET));
      const isMany = i32.eqz(i32.and(count, i32.const(LOOK_EVERY - 1)));
      const reason = i32.load8U(this.#record, EXIT_RECORD.REASON);
      fn.if(i32.and(isMany, i32.ltU(reason, i32.const(FIRST_UNAVOIDABLE))), () => {
        fn.store(zero, this.#record, STATE.RECORD);
        fn.set(this.#rip, i64.const(REGION_LEFT.LOOK));
      });
    });
    this.#save(ALL);
    fn.if(i32.eq(this.#record, i32.const(LEARNS)), () => {
      fn.store(zero, this.#rip, STATE.RIP);
      fn.return(i64.const(REGION_LEFT.LOOK));
    });
    const mayChain = i32.ne(this.#depth, zero);
    fn.if(i32.and(i32.eq(this.#record, i32.const(CHAINS)), mayChain), () => this.#chain());
    fn.return(this.#rip);
    fn.code.push(0x00);
  }

  #gap(code: Gap["code"], dirty = ALL): void {
    this.#gaps.push({ at: this.#fn.code.length, depth: this.#fn.depth, code, dirty });
  }

  #fillGaps(): void {
    const fn = this.#fn;
    const fill: Readonly<Record<Gap["code"], (dirty: number) => void>> = {
      load: () => this.#registers.load(fn),
      save: (dirty) => this.#registers.save(fn, dirty),
      frame: () => this.#beginFrame(),
    };
    const made = fn.code.bytes;
    const whole = new ByteSink();
    let from = 0;
    for (const { at, depth, code, dirty } of this.#gaps) {
      whole.append(made.subarray(from, at));
      whole.append(fn.apart(depth, () => fill[code](dirty)));
      from = at;
    }
    whole.append(made.subarray(from));
    fn.code = whole;
  }

  #beginFrame(): void {
    const { rip } = this.#graph.entry.block;
    this.#flags.state = IN_STATE;
    this.#frame?.begin(
      this.#fn,
      () => this.#registers.general(RSP),
      (access, address) => {
        const miss: Miss = { area: "stack", access, address };
        this.#fn.store(i32.const(0), address, STATE.ADDRESS);
        this.#leaveBy(this.#env.exitRecord(rip, 0, "memory", miss));
      },
    );
  }
}
