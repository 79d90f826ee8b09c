/**
 * The chain of callers. With symbols a function's code says where its return address is
 * (`frame-layout.ts`); without, the stack is searched for an address that follows a CALL, best one to
 * a function whose code says so. Handlers of interrupts lead on to what they interrupted.
 */
import type { GuestCode } from "./code.ts";
import { type FrameLayout, frameLayout } from "./frame-layout.ts";
import { type Interrupted, interruptFrameAt } from "./interrupt-frame.ts";
import type { SymbolTable } from "./symbols.ts";

export interface Frame {
  /** RIP for the first and for what was interrupted, else a return address. */
  readonly address: bigint;
  /**
   * How it was found: from the registers, behind a call, or interrupted by a handler; `guess` for a
   * return address on the stack that may be an old one.
   */
  readonly found: "registers" | "call" | "interrupt" | "guess";
  /** What the processor pushed, for code that was interrupted. */
  readonly interrupted?: Interrupted;
}

export const MAX_FRAMES = 64;

/** Words of the stack that are searched for one frame. */
const SEARCHED_WORDS = 512;
/** The same above a frame that should have had its return address. */
const SEARCHED_AFTER_FAILURE = 64;

interface Position {
  readonly frame: Frame;
  readonly sp: bigint;
  readonly bp: bigint;
}

export function backtrace(code: GuestCode, symbols: SymbolTable): Frame[] {
  const { rsp, rbp, ss } = code.registers;
  const base = code.size === 64 ? 0n : ss.base;
  let position: Position | undefined = {
    frame: { address: code.position, found: "registers" },
    sp: base + masked(code, rsp),
    bp: base + masked(code, rbp),
  };
  const frames: Frame[] = [];
  // Real mode has no flat stack, and addresses of two words.
  const limit = code.size === 16 ? 1 : MAX_FRAMES;
  const handlers = new Set<bigint>();
  while (position !== undefined && frames.length < limit) {
    const { frame }: Position = position;
    // A handler that was interrupted itself, on the same stack: what was there before is lost.
    if (frame.interrupted !== undefined && handlers.has(frame.interrupted.at)) break;
    if (frame.interrupted !== undefined) handlers.add(frame.interrupted.at);
    frames.push(frame);
    position = callerOf(code, symbols, position);
  }
  return frames;
}

const masked = (code: GuestCode, value: bigint): bigint => BigInt.asUintN(code.size, value);

function callerOf(code: GuestCode, symbols: SymbolTable, position: Position): Position | undefined {
  const { frame, sp, bp } = position;
  const start = startOf(symbols, frame);
  if (start === undefined) return searched(code, symbols, position, SEARCHED_WORDS);
  // Nobody calls the first instruction of all.
  if (symbols.entries.has(start)) return undefined;
  const layout = frameLayout(code, start, frame.address, isCaller(frame));
  const end = layout && frameEnd(layout, position);
  if (layout === undefined || end === undefined || end < sp) {
    return searched(code, symbols, position, SEARCHED_WORDS);
  }
  const saved = layout.savedBp === undefined ? bp : code.word(end - BigInt(layout.savedBp));
  const above: Position = { frame, sp: end - BigInt(code.wordSize), bp: saved ?? 0n };
  const address = code.word(above.sp);
  if (address !== undefined && code.callBefore(address) !== undefined) {
    return { frame: { address, found: "call" }, sp: end, bp: above.bp };
  }
  // Where code began, RBP was zero by convention: what calls look like there, are none.
  if (above.bp === 0n) return interrupted(code, above, SEARCHED_AFTER_FAILURE);
  return searched(code, symbols, above, SEARCHED_AFTER_FAILURE);
}

/** Return addresses follow the call, which may be a function's last instruction. */
const isCaller = ({ found }: Frame): boolean => found === "call" || found === "guess";

/** Parts that compilers split off a function begin in the middle of it. */
const SPLIT_OFF = /\.cold(\.\d+)?$/;

function startOf(symbols: SymbolTable, frame: Frame): bigint | undefined {
  const symbol = symbols.find(isCaller(frame) ? frame.address - 1n : frame.address);
  if (symbol === undefined || !SPLIT_OFF.test(symbol.name)) return symbol?.address;
  return symbols.byName(symbol.name.replace(SPLIT_OFF, ""))?.address;
}

function frameEnd({ fromSp, fromBp }: FrameLayout, { sp, bp }: Position): bigint | undefined {
  if (fromSp !== undefined) return sp + BigInt(fromSp);
  return fromBp === undefined ? undefined : bp + BigInt(fromBp);
}

function interrupted(code: GuestCode, position: Position, words: number): Position | undefined {
  for (let i = 0; i < words; i++) {
    const frame = interruptFrameAt(code, position.sp + BigInt(i * code.wordSize));
    if (frame !== undefined) return goOn(frame, position);
  }
  return undefined;
}

/** Handlers leave the registers as they were. */
const goOn = (interrupted: Interrupted, { bp }: Position): Position => ({
  frame: { address: interrupted.rip, found: "interrupt", interrupted },
  sp: interrupted.rsp,
  bp,
});

/** The next caller or interrupted code, by what lies on the stack. */
function searched(
  code: GuestCode,
  symbols: SymbolTable,
  position: Position,
  words: number,
): Position | undefined {
  const word = BigInt(code.wordSize);
  const isNowhere = code.decode(position.frame.address) === undefined;
  let guess: Position | undefined;
  for (let i = 0; i < words; i++) {
    const at = position.sp + BigInt(i) * word;
    const value = code.word(at);
    if (value === undefined) break;
    const frame = interruptFrameAt(code, at);
    if (frame !== undefined) return goOn(frame, position);
    const call = code.callBefore(value);
    if (call === undefined) continue;
    // A call to where no code is.
    const isLost = i === 0 && position.frame.found === "registers" && isNowhere;
    const found = (certain: boolean, bp: bigint): Position => ({
      frame: { address: value, found: certain ? "call" : "guess" },
      sp: at + word,
      bp,
    });
    if (isLost) return found(true, position.bp);
    if (call.target !== undefined) {
      const layout = frameLayout(
        code,
        call.target,
        position.frame.address,
        isCaller(position.frame),
      );
      const end = layout && frameEnd(layout, position);
      if (layout !== undefined && end === at + word) {
        const saved = layout.savedBp;
        const bp = saved === undefined ? position.bp : code.word(end - BigInt(saved));
        return found(true, bp ?? 0n);
      }
    }
    // Where there are symbols, what has none is not likely to have called.
    if (symbols.size === 0 || symbols.find(value) !== undefined) {
      // RBP points right below it, if it is a frame pointer.
      const saved = at === position.bp + word ? code.word(position.bp) : undefined;
      guess ??= found(false, saved ?? position.bp);
    }
  }
  return guess;
}
