import { ByteSink, pushUnsigned, unsignedLeb, vector } from "./encoding.ts";
import {
  type Expression,
  type I32,
  i32,
  operation,
  type ValueType,
  variable,
} from "./expression.ts";

export const VALUE_TYPE_CODE: Readonly<Record<ValueType, number>> = {
  i32: 0x7f,
  i64: 0x7e,
  f32: 0x7d,
  f64: 0x7c,
  v128: 0x7b,
};

export const STORE_OPCODE = {
  i32: [0x36],
  i64: [0x37],
  f32: [0x38],
  f64: [0x39],
  v128: [0xfd, 11],
} as const;

/** The low bits of an i64. */
const STORE_NARROW = { 8: [0x3c], 16: [0x3d], 32: [0x3e], 64: [0x37] } as const;

/** Bytes that a body's size takes, at most. */
const MOST_OF_SIZE = 5;

const BLOCK_VOID = 0x40;
const CALL = 0x10;
const CALL_INDIRECT = 0x11;

/** A variable of the function. Reading it is an expression that may be used any number of times. */
export interface Local<Type extends ValueType = ValueType> extends Expression<Type> {
  readonly index: number;
}

/** A structured control instruction under construction: the target of a branch. */
export interface Label {
  readonly depth: number;
}

/** Appends statements to one function's body. */
export class FunctionBuilder {
  code = new ByteSink();
  readonly #parameters: number;
  readonly #locals: Local[] = [];
  #free: Local[] = [];
  #depth = 0;

  /** @param parameters types; they are locals 0 and up */
  constructor(parameters: readonly ValueType[]) {
    this.#parameters = parameters.length;
  }

  parameter<Type extends ValueType>(index: number, type: Type): Local<Type> {
    return makeLocal(index, type);
  }

  local<Type extends ValueType>(type: Type): Local<Type> {
    for (let at = this.#free.length - 1; at >= 0; at--) {
      const local = this.#free[at] as Local;
      if (local.type !== type) continue;
      if (at === this.#free.length - 1) this.#free.pop();
      else this.#free.splice(at, 1);
      return local as Local<Type>;
    }
    const local = makeLocal(this.#parameters + this.#locals.length, type);
    this.#locals.push(local);
    return local;
  }

  /** Lets the locals of independent pieces of code be the same ones. */
  scoped(body: () => void): void {
    const before = this.#locals.length;
    const free = this.#free.slice();
    body();
    this.#free = free;
    for (let i = before; i < this.#locals.length; i++) {
      this.#free.push(this.#locals[i] as Local);
    }
  }

  /** Evaluates now; the result may be used any number of times. */
  let<Type extends ValueType>(value: Expression<Type>): Local<Type> {
    const local = this.local(value.type);
    this.set(local, value);
    return local;
  }

  set<Type extends ValueType>(local: Local<Type>, value: Expression<Type>): void {
    if (local.index < 0) throw new Error("a constant is set");
    value.emit(this.code);
    this.code.setVariable(local.index);
  }

  store(address: I32, value: Expression, offset = 0): void {
    this.#store(STORE_OPCODE[value.type], address, value, offset);
  }

  /** Stores the low `bits` of an i64. */
  storeNarrow(bits: 8 | 16 | 32 | 64, address: I32, value: Expression<"i64">, offset = 0): void {
    this.#store(STORE_NARROW[bits], address, value, offset);
  }

  /** `memory.copy`: the operands may overlap. */
  copyMemory(to: I32, from: I32, bytes: I32): void {
    for (const operand of [to, from, bytes]) operand.emit(this.code);
    for (const byte of [0xfc, 10, 0, 0]) this.code.push(byte);
  }

  /** `memory.fill`. @param byte its low eight bits */
  fillMemory(to: I32, byte: I32, bytes: I32): void {
    for (const operand of [to, byte, bytes]) operand.emit(this.code);
    for (const byte of [0xfc, 11, 0]) this.code.push(byte);
  }

  block(body: (end: Label) => void): void {
    this.#structured([0x02, BLOCK_VOID], body);
  }

  loop(body: (start: Label) => void): void {
    this.#structured([0x03, BLOCK_VOID], body);
  }

  if(condition: I32, then: () => void, otherwise?: () => void): void {
    condition.emit(this.code);
    this.#structured([0x04, BLOCK_VOID], () => {
      then();
      if (otherwise !== undefined) {
        this.code.push(0x05);
        otherwise();
      }
    });
  }

  branch(target: Label): void {
    this.code.push(0x0c);
    pushUnsigned(this.code, this.#depth - target.depth);
  }

  branchIf(condition: I32, target: Label): void {
    condition.emit(this.code);
    this.code.push(0x0d);
    pushUnsigned(this.code, this.#depth - target.depth);
  }

  branchTable(index: I32, targets: readonly Label[], otherwise: Label): void {
    index.emit(this.code);
    this.code.push(0x0e);
    pushUnsigned(this.code, targets.length);
    for (const target of [...targets, otherwise]) {
      pushUnsigned(this.code, this.#depth - target.depth);
    }
  }

  return(value?: Expression): void {
    value?.emit(this.code);
    this.code.push(0x0f);
  }

  /** Nothing comes here: validation wants a value of what ends otherwise. */
  unreachable(): void {
    this.code.push(0x00);
  }

  /** Returns what a function of a table returns, without a frame of its own meanwhile. @param signature its type */
  returnCall(
    table: number,
    signature: number,
    target: I32,
    ...operands: readonly Expression[]
  ): void {
    for (const operand of operands) operand.emit(this.code);
    target.emit(this.code);
    this.code.push(0x13);
    pushUnsigned(this.code, signature);
    pushUnsigned(this.code, table);
  }

  /** Evaluates for the effect. */
  drop(value: Expression): void {
    value.emit(this.code);
    this.code.push(0x1a);
  }

  /** A call without a result. */
  call(callee: Callee, ...operands: readonly Expression[]): void {
    callResult("i32", callee, ...operands).emit(this.code);
  }

  /** How many structured instructions are open here. */
  get depth(): number {
    return this.#depth;
  }

  /** Lets `body` append code as if it stood somewhere else. @param depth that of the place */
  at(depth: number, body: () => void): void {
    const here = this.#depth;
    this.#depth = depth;
    body();
    this.#depth = here;
  }

  /** The body as it stands in the code section. */
  finish(): Uint8Array {
    const locals = vector(runs(this.#locals.map(({ type }) => VALUE_TYPE_CODE[type])));
    const size = locals.length + this.code.length + 1;
    const body = new ByteSink(size + MOST_OF_SIZE);
    pushUnsigned(body, size);
    body.append(locals);
    body.append(this.code.bytes);
    body.push(0x0b);
    return body.bytes;
  }

  #store(opcode: readonly number[], address: I32, value: Expression, offset: number): void {
    address.emit(this.code);
    value.emit(this.code);
    this.code.append(opcode);
    this.code.push(0);
    pushUnsigned(this.code, offset);
  }

  #structured(opening: readonly number[], body: (label: Label) => void): void {
    this.code.append(opening);
    this.#depth++;
    body({ depth: this.#depth });
    this.#depth--;
    this.code.push(0x0b);
  }
}

/** How often each code follows itself, and the code. */
function runs(codes: readonly number[]): number[][] {
  const found: [count: number, code: number][] = [];
  for (const code of codes) {
    const last = found.at(-1);
    if (last?.[1] === code) last[0]++;
    else found.push([1, code]);
  }
  return found.map(([count, code]) => [...unsignedLeb(count), code]);
}

const makeLocal = <Type extends ValueType>(index: number, type: Type): Local<Type> =>
  variable(type, index) as Local<Type>;

/** The same variable, where more or less is known of its value. */
export const knownAs = <Type extends ValueType>(
  { index, type }: Local<Type>,
  width: number | undefined,
  frame?: number | null,
): Local<Type> => variable(type, index, width, frame) as Local<Type>;

/** Whether an expression is a variable, or a constant that stands for one. */
export const isVariable = (value: Expression): value is Local => value.index !== undefined;

/** A function whose place in a table is known. */
export interface TableFunction {
  readonly table: number;
  /** Index of its type. */
  readonly signature: number;
  readonly slot: number;
}

/** A function by its index in the module, or in a table. */
export type Callee = number | TableFunction;

/** The result of a call. */
export const callResult = <Type extends ValueType>(
  type: Type,
  callee: Callee,
  ...operands: readonly Expression[]
): Expression<Type> =>
  typeof callee === "number"
    ? operation(type, CALL, operands, unsignedLeb(callee))
    : indirectResult(type, callee.table, callee.signature, i32.const(callee.slot), ...operands);

/** The result of calling what a table has at `target`. @param signature index of its type */
export const indirectResult = <Type extends ValueType>(
  type: Type,
  table: number,
  signature: number,
  target: I32,
  ...operands: readonly Expression[]
): Expression<Type> =>
  operation(
    type,
    CALL_INDIRECT,
    [...operands, target],
    [...unsignedLeb(signature), ...unsignedLeb(table)],
  );
