import { emitMeaning } from "../emission/code-emitter.ts";
import type { Miss } from "../emission/guest-access.ts";
import type { DecodedInstruction } from "../interpreter/decoder.ts";
import { branchTarget, countsOtherwise, isRelative, isWithout } from "../interpreter/decoder.ts";
import { unitFault } from "../interpreter/units.ts";
import { elementShift, emitRepetition, repeatedBy } from "../isa/string-repetition.ts";
import { variant } from "../isa/variant.ts";
import { STATE } from "../state.ts";
import { type I64, i32, i64 } from "../wasm/expression.ts";
import { callResult, FunctionBuilder, type Label, type Local } from "../wasm/function-builder.ts";
import { behind, endOf, isCall, isReturn, resumes } from "./discovery.ts";
import type { ExitReason } from "./exit-records.ts";
import type { Graph } from "./graph.ts";
import { JitEmitter } from "./jit-emitter.ts";
import { findHash } from "./jump-hash.ts";
import { ANY_FLAGS, type FlagState, IN_STATE, LazyFlags } from "./lazy-flags.ts";
import type { Inlining, Node } from "./node.ts";
import { carriedBy, computes, mayChange } from "./operand-use.ts";
import { REGION_LEFT, REGION_SIGNATURE } from "./protocol.ts";
import { RegionAssumptions } from "./region-assumptions.ts";
import type { RegionEnvironment } from "./region-environment.ts";
import { RegionExits } from "./region-exits.ts";
import {
  commonFacts,
  NO_STACK,
  type RegisterFacts,
  RegisterFile,
  type StackFacts,
} from "./register-file.ts";
import { RunningState } from "./running-state.ts";
import { StackFrame } from "./stack-frame.ts";
import { unseenFlags } from "./unseen-flags.ts";

const RBP = 5;
/** What a return takes from the stack in 64-bit mode. */
const RETURN_BYTES = 8;

/** Emits a graph of blocks as one function, structured by dominators (Ramsey, "Beyond Relooper"). */
export class RegionCode {
  readonly #fn = new FunctionBuilder(REGION_SIGNATURE.parameters);
  readonly #graph: Graph;
  readonly #env: RegionEnvironment;
  readonly #state: RunningState;
  readonly #registers: RegisterFile;
  readonly #flags: LazyFlags;
  readonly #exits: RegionExits;
  readonly #emitter: JitEmitter;
  /** Which entry of a loop with several is meant, if there are such loops. */
  readonly #way: Local<"i32"> | undefined;
  /** Instructions of the region: no path that does not branch back has more. */
  readonly #longest: number;
  readonly #labels = new Map<Node, Label>();
  readonly #flagsIn = new Map<Node, FlagState | undefined>();
  /** Of merges: what is known of registers on all ways there. */
  readonly #factsIn = new Map<Node, RegisterFacts>();
  /** Of loops: what each branch back to them has to find. */
  readonly #stackOf = new Map<Node, StackFacts>();
  readonly #carried = new Map<Node, number>();
  readonly #assumptions: RegionAssumptions;
  #node!: Node;
  #index = 0;
  /** Offset in the code segment of the instruction under way, and of what is behind it. */
  #rip = 0n;
  #next = 0n;

  constructor(graph: Graph, env: RegionEnvironment) {
    this.#graph = graph;
    this.#env = env;
    const fn = this.#fn;
    const { codeSize, limit } = graph.entry.block;
    const writesThrough = env.slow !== undefined || !graph.repeats;
    this.#registers = new RegisterFile(fn, codeSize !== 64, writesThrough);
    const locals = {
      first: fn.local("i64"),
      second: fn.local("i64"),
      third: fn.local("i64"),
      kind: fn.local("i32"),
    };
    this.#flags = new LazyFlags(fn, locals, env.settleFlags);
    this.#state = new RunningState(fn, this.#registers, this.#flags);
    this.#exits = new RegionExits(fn, env, this.#state, graph.entry);
    const usualModes = !env.thorough && graph.nodes.some(({ block }) => computes(block));
    const isFramed = codeSize === 64 && env.slow === undefined;
    const frame = isFramed ? new StackFrame(fn.local("i64")) : undefined;
    if (isFramed) this.#registers.loaded({ top: 0, frame: undefined });
    const { segments, windows } = env;
    const mode = { codeSize, limit, segments, usualModes, frame, windows };
    this.#emitter = new JitEmitter(fn, env, mode, this.#flags, this.#registers, {
      interpret: (reason, miss) => this.#interpret(reason, miss),
      jump: (target) => this.#jump(target),
      budget: () => this.#state.budget,
      spend: (work) => {
        const { budget } = this.#state;
        fn.set(budget, i32.sub(budget, i32.wrap(work)));
      },
    });
    this.#assumptions = new RegionAssumptions(fn, env, this.#state, this.#exits, {
      frame,
      modes: usualModes ? () => this.#emitter.hasUsualModes() : undefined,
    });
    const hasEntries = graph.nodes.some(({ entries }) => entries !== undefined);
    this.#way = hasEntries ? fn.local("i32") : undefined;
    this.#longest = graph.nodes.reduce((sum, { block }) => sum + block.count, 0);
  }

  /** The function's body. */
  build(): Uint8Array {
    const fn = this.#fn;
    const zero = i32.const(0);
    const { budget } = this.#state;
    fn.set(budget, i32.load(zero, STATE.BUDGET));
    fn.if(i32.ltS(budget, i32.const(this.#longest)), () => {
      fn.store(zero, i64.const(this.#graph.entry.block.rip), STATE.RIP);
      fn.return(i64.const(REGION_LEFT.INTERPRET));
    });
    this.#state.loadRegisters();
    this.#exits.around(() => {
      const { entry } = this.#graph;
      this.#flags.state = IN_STATE;
      this.#flagsIn.set(entry, IN_STATE);
      this.#state.later(() => this.#assumptions.begin(entry.block.rip));
      this.#assumptions.checkModes(entry.block.rip, 0);
      if (entry.isLoop) this.#state.loadFlags();
      this.#tree(entry);
    });
    this.#state.complete();
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
    if (node.isMerge) this.#registers.facts = this.#factsIn.get(node) ?? this.#registers.facts;
    this.#registers.hold(this.#carriedBy(node));
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
    fn.set(this.#state.budget, i32.sub(this.#state.budget, i32.const(instructions.length)));
    const unseen = unseenFlags(instructions);
    let next = block.rip;
    for (let index = 0; index < instructions.length; index++) {
      const instruction = instructions[index] as DecodedInstruction;
      // What is emitted at a branch's end has made another node the current one.
      this.#node = node;
      this.#index = index;
      this.#rip = next;
      next = behind(block, next, instruction.length);
      this.#next = next;
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
    const { top, frame } = this.#registers.facts;
    const stack = { top, frame: mayChange(node, RBP) ? undefined : frame };
    this.#registers.forget(stack, this.#carriedBy(node));
    this.#stackOf.set(node, stack);
  }

  /** Returns whether control may go on behind it. */
  #instruction(instruction: DecodedInstruction): boolean {
    const { form, operandSize, address } = instruction;
    const { ends, translation, repeat } = form.instruction;
    const isRepeated = repeat !== undefined && instruction.repeat !== undefined;
    const isExact = form.unit === "x87" && this.#env.exactX87;
    const translated = isRepeated || isExact ? undefined : translation;
    const next = this.#next;
    const { codeSize, limit } = this.#node.block;
    const meaning = isWithout(instruction, codeSize) ? undefined : form.instruction.meaning;
    const leaves = isRelative(instruction) && branchTarget(instruction, codeSize, next) > limit;
    const faults = unitFault(form.unit, this.#env.unitControls) !== undefined;
    const isLeft = leaves || faults || countsOtherwise(instruction);
    const canResume = ends === undefined || resumes(instruction);
    if (isLeft || (meaning === undefined && translated === undefined && !canResume)) {
      this.#interpret("instruction");
      return false;
    }
    if (meaning === undefined && translated === undefined) {
      if (isRepeated) this.#repeated(instruction, next);
      else this.#procedure(instruction);
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

  /** Leaves before the instruction under way. */
  #interpret(reason: ExitReason, miss?: Miss): void {
    const unused = this.#node.block.count - this.#index;
    if (miss !== undefined) this.#fn.store(i32.const(0), miss.address, STATE.ADDRESS);
    this.#exits.by(this.#env.exitRecord(this.#rip, unused, reason, miss));
  }

  /** A branch of the guest. */
  #jump(target: I64): void {
    const instruction = this.#node.block.instruction(this.#index);
    const { inlining } = this.#node;
    if (isCall(instruction)) this.#call(target);
    else if (inlining !== undefined && isReturn(instruction)) {
      this.#continue(inlining.back, inlining.caller);
    } else if (isReturn(instruction)) this.#exits.asReturn(target);
    else if (target.constant === undefined) this.#jumpThroughTable(target);
    else this.#continue(BigInt.asUintN(64, target.constant), inlining);
  }

  /** A jump whose target is only known when it is made: to the nodes that it has led to before. */
  #jumpThroughTable(target: I64): void {
    const { targets, inlining } = this.#node;
    const known = targets.filter((rip) => this.#graph.at(rip, inlining) !== undefined);
    const fn = this.#fn;
    const to = fn.let(target);
    const hash = findHash(known);
    if (hash === undefined) {
      this.#exits.unknown(to, this.#node);
      return;
    }
    const place = i64.and(i64.shrU(to, i64.const(hash.shift)), i64.const(hash.mask));
    const { state } = this.#flags;
    const nest = (labels: readonly Label[], elsewhere: Label): void => {
      if (labels.length === known.length) {
        const byPlace = hash.order.map((index) => labels[index] ?? elsewhere);
        fn.branchTable(i32.wrap(place), byPlace, elsewhere);
        return;
      }
      const rip = known[labels.length] as bigint;
      fn.block((label) => nest([...labels, label], elsewhere));
      fn.branchIf(i64.ne(to, i64.const(rip)), elsewhere);
      this.#continue(rip, inlining);
      this.#flags.state = state;
    };
    fn.block((elsewhere) => nest([], elsewhere));
    this.#exits.unknown(to, this.#node);
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
      this.#exits.to(rip);
      return;
    }
    if (target?.via !== undefined) {
      this.#fn.set(this.#way as Local<"i32">, i32.const(target.via.index));
    }
    if (to.order <= from.order) {
      if (!this.#hasStackOf(to)) {
        this.#exits.to(rip);
        return;
      }
      this.#state.loadFlags();
      this.#checkBudget(rip);
      const { facts } = this.#registers;
      this.#registers.hold(this.#carriedBy(to));
      this.#fn.branch(this.#labels.get(to) as Label);
      this.#registers.facts = facts;
    } else if (to.isMerge) {
      this.#state.loadFlags();
      const { facts } = this.#registers;
      this.#factsIn.set(to, commonFacts(facts, this.#factsIn.get(to) ?? facts));
      this.#fn.branch(this.#labels.get(to) as Label);
    } else {
      this.#inline(to);
    }
  }

  /** Registers that stay in variables from one round of a loop to the next. */
  #carriedBy(loop: Node): number {
    let carried = this.#carried.get(loop);
    if (carried === undefined) {
      carried = carriedBy(loop);
      this.#carried.set(loop, carried);
    }
    return carried;
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
    const node = this.#node;
    const index = this.#index;
    const rip = this.#rip;
    const next = this.#next;
    if (to.isLoop) this.#state.loadFlags();
    this.#flagsIn.set(to, state);
    this.#emitter.within(() => this.#tree(to));
    this.#flags.state = state;
    this.#registers.facts = facts;
    this.#node = node;
    this.#index = index;
    this.#rip = rip;
    this.#next = next;
  }

  /** The region is left when the budget might not last to the next time that this is asked. */
  #checkBudget(rip: bigint): void {
    const fn = this.#fn;
    fn.if(i32.ltS(this.#state.budget, i32.const(this.#longest)), () => {
      this.#exits.by(this.#env.exitRecord(rip, 0, "budget"));
    });
  }

  /** A call of the guest: the return address has been pushed. */
  #call(target: I64): void {
    const back = endOf(this.#node.block);
    const { call } = this.#node;
    if (call !== undefined && target.constant !== undefined) {
      const known = BigInt.asUintN(64, target.constant);
      if (this.#graph.at(known, call) !== undefined) {
        this.#continue(known, call);
        return;
      }
    }
    const leadsOn = this.#graph.at(back, this.#node.inlining) === undefined;
    this.#exits.call(target, back, leadsOn);
    const { top, frame } = this.#registers.facts;
    this.#state.load();
    this.#assumptions.checkStack(
      { top: top === undefined ? undefined : top + RETURN_BYTES, frame },
      back,
      0,
    );
    this.#assumptions.checkModes(back, 0);
    this.#checkBudget(back);
    this.#continue(back, this.#node.inlining);
  }

  /** The procedure does what is not quick, if there is anything left. */
  #repeated(instruction: DecodedInstruction, next: bigint): void {
    const run = repeatedBy(instruction, this.#node.block.codeSize);
    if (run === undefined) {
      this.#procedure(instruction);
      return;
    }
    this.#state.loadFlags();
    this.#emitter.begin(instruction, next);
    const shift = i32.const(elementShift(instruction));
    const isUndone = emitRepetition(this.#emitter, run, shift);
    const { facts } = this.#registers;
    this.#flags.state = ANY_FLAGS;
    this.#fn.if(isUndone, () => {
      this.#procedure(instruction);
      this.#state.loadFlags();
    });
    this.#registers.facts = commonFacts(facts, this.#registers.facts);
    this.#flags.state = ANY_FLAGS;
  }

  /** An instruction without code. */
  #procedure(instruction: DecodedInstruction): void {
    const fn = this.#fn;
    const zero = i32.const(0);
    const unused = this.#node.block.count - this.#index;
    this.#flags.tell();
    fn.set(this.#state.budget, i32.add(this.#state.budget, i32.const(unused)));
    this.#state.save();
    fn.store(zero, i64.const(this.#next), STATE.RIP);
    const { block } = this.#node;
    const number = this.#env.procedureNumber(instruction, block, this.#index);
    fn.if(callResult("i32", this.#env.procedure, i32.const(number)), () =>
      fn.return(i64.const(REGION_LEFT.STOP)),
    );
    const { facts } = this.#registers;
    this.#state.load();
    fn.set(this.#state.budget, i32.sub(this.#state.budget, i32.const(unused)));
    this.#assumptions.checkStack(facts, this.#next, unused - 1);
    this.#assumptions.checkModes(this.#next, unused - 1);
  }
}
