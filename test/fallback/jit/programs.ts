/** Random programs: loops over arithmetic, flags, memory and branches. */
import type { Mode } from "./machine.ts";

/** MOVS, CMPS, STOS, LODS, SCAS. */
const STRINGS = [0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf];

type Random = (below: number) => number;

/** Makes programs of a mode. */
class Programmer {
  readonly #random: Random;
  readonly #bits: Mode["bits"];
  readonly #wild: boolean;
  readonly #special: (() => number[]) | undefined;
  /** Registers that programs compute with: RAX, RDX, RSI, RDI, R8 to R11. */
  readonly #registers: readonly number[];

  /**
   * @param wild whether there are handlers of faults, and code may be written
   * @param special makes instructions that are as frequent as all others together
   */
  constructor(random: Random, { bits }: Mode, wild: boolean, special?: () => number[]) {
    this.#wild = wild;
    this.#special = special;
    this.#random = random;
    this.#bits = bits;
    this.#registers = bits === 64 ? [0, 2, 6, 7, 8, 9, 10, 11] : [0, 2, 6, 7];
  }

  /** ModRM and prefixes for two registers, or a register and [rbx + displacement]. */
  #operands(opcode: readonly number[], reg: number, wide: boolean): number[] {
    const random = this.#random;
    const rm = this.#registers[random(this.#registers.length)] as number;
    const low = (reg & 7) << 3;
    if (random(3) > 0) return [...this.#prefixes(wide, reg, rm), ...opcode, 0xc0 | low | (rm & 7)];
    const displacement = random(64);
    const prefixes = this.#prefixes(wide, reg, 0);
    // With an address of 16 bits, BX is another number.
    const base = this.#bits === 16 ? 0x47 : 0x43;
    return [...prefixes, ...opcode, base | low, displacement];
  }

  /** @param wide 64 bits instead of 32; 32 instead of 16 or the other way round */
  #prefixes(wide: boolean, reg: number, base: number): number[] {
    if (this.#bits !== 64) return wide ? [0x66] : [];
    return [0x40 | (wide ? 8 : 0) | (reg >= 8 ? 4 : 0) | (base >= 8 ? 1 : 0)];
  }

  /** One instruction. */
  #instruction(): number[] {
    const random = this.#random;
    const register = this.#registers[random(this.#registers.length)] as number;
    const wide = random(2) === 1;
    const condition = random(16);
    switch (random(9)) {
      case 0:
      case 1:
        return this.#operands([8 * random(8) + 1], register, wide);
      case 2:
        return this.#operands([8 * random(8) + 3], register, wide);
      case 3:
        return this.#operands([random(2) === 0 ? 0x8b : 0x89], register, wide);
      case 4: {
        const shift = [0, 1, 4, 5, 7][random(5)] as number;
        return [...this.#operands([0xc1], shift, wide), random(64)];
      }
      case 5:
        return this.#operands([0xff], random(2), wide);
      case 6:
        return this.#operands([0x0f, 0x40 + condition], register, wide);
      case 7:
        return this.#operands([0x0f, 0x90 + condition], 0, false);
      default:
        return this.#operands([0x0f, 0xaf], register, wide);
    }
  }

  /** A string instruction on data, with or without a count: RCX is what it was before. */
  #string(): number[] {
    const random = this.#random;
    const wide = random(2) === 1 ? this.#prefixes(true, 0, 0) : [];
    const repeat = [[], [0xf3], [0xf2]][random(3)] as number[];
    const opcode = STRINGS[random(STRINGS.length)] as number;
    const prefixes = this.#bits === 64 ? [...repeat, ...wide] : [...wide, ...repeat];
    const down = random(4) === 0;
    return this.#keepingCount([
      ...this.#pointTo(6),
      ...this.#pointTo(7),
      ...(down ? [0xfd] : []),
      ...[...prefixes, opcode],
      ...(down ? [0xfc] : []),
    ]);
  }

  /** lea register, [rbx + displacement] */
  #pointTo(register: number): number[] {
    const base = this.#bits === 16 ? 0x87 : 0x83;
    const rex = this.#bits === 64 ? [0x48] : [];
    return [...rex, 0x8d, base | (register << 3), ...this.#word(0x400 + this.#random(0x100))];
  }

  /** push rcx; mov ecx, count; …; pop rcx */
  #keepingCount(body: readonly number[]): number[] {
    return [0x51, 0xb9, ...this.#word(this.#random(20)), ...body, 0x59];
  }

  /** A loop by LOOP or one of its kin, or a branch by JCXZ. */
  #counted(): number[] {
    const random = this.#random;
    const body = this.#instruction();
    const kind = 0xe0 + random(4);
    if (kind === 0xe3) return this.#keepingCount([kind, body.length, ...body]);
    const back = -(body.length + 2) & 0xff;
    // or ecx, 1: from zero it would take very long.
    return this.#keepingCount([0x83, 0xc9, 1, ...body, kind, back]);
  }

  /** PUSHF, something else, POPF; or CMC, CLC, STC or CLI. */
  #flags(): number[] {
    if (this.#random(3) === 0) return [[0xf5, 0xf8, 0xf9, 0xfa][this.#random(4)] as number];
    const between = [...this.#instruction(), ...(this.#random(4) === 0 ? [0xfd] : [])];
    return [0x9c, ...between, 0x9d];
  }

  /** push; sub rsp, …; something with [rsp + …]; add rsp, …; pop; now and then with RBP as well. */
  #framed(): number[] {
    const random = this.#random;
    const register = [0, 2, 6, 7][random(4)] as number;
    const size = 8 * (1 + random(4));
    const slot = () => [
      0x44 | (([0, 2, 6, 7][random(4)] as number) << 3),
      0x24,
      8 * random(size / 8),
    ];
    // mov [rsp + …], register; add register, [rsp + …]
    const body = [0x89, ...slot(), ...this.#instruction(), 0x03, ...slot()];
    const wide = this.#bits === 64 ? [0x48] : [];
    if (random(3) === 0) {
      // push rbp; mov rbp, rsp; …; leave
      const enter = [0x55, ...wide, 0x89, 0xe5, ...wide, 0x83, 0xec, size];
      const local = [0x89, 0x45 | (register << 3), -8 & 0xff, 0x03, 0x45, -8 & 0xff];
      return [...enter, ...body, ...local, 0xc9];
    }
    const [down, up] = [0xec, 0xc4].map((modRm) => [...wide, 0x83, modRm, size]) as [
      number[],
      number[],
    ];
    return [0x50 + register, ...down, ...body, ...up, 0x58 + register];
  }

  /** Scalar arithmetic of 64 bits on XMM0 to XMM3, whose results are stored. */
  #float(): number[] {
    const random = this.#random;
    const registers = () => 0xc0 | (random(4) << 3) | random(4);
    const [address, result] = [0x43 | (random(4) << 3), random(4)];
    const operation = () => [0xf2, 0x0f, [0x58, 0x59, 0x5c, 0x5e][random(4)] as number];
    return [
      // cvtsi2sd xmm, register
      ...[0xf2, 0x0f, 0x2a, 0xc0 | (random(4) << 3) | ([0, 2, 6, 7][random(4)] as number)],
      ...[...operation(), registers()],
      ...(random(4) === 0 ? [...operation(), address, 8 * random(16)] : []),
      ...[...operation(), registers()],
      // movapd or ucomisd
      ...[0x66, 0x0f, random(2) === 0 ? 0x28 : 0x2e, registers()],
      // movsd [rbx + …], xmm
      ...[0xf2, 0x0f, 0x11, 0x43 | (result << 3), 0x40 + 8 * random(6)],
    ];
  }

  /** Two bytes that fault, or may; or an instruction whose immediate is counted up before. */
  #wildness(): number[] {
    const random = this.#random;
    const divisor = [0, 2, 6, 7][random(4)] as number;
    switch (random(6)) {
      case 0:
        return [0x0f, 0x0b];
      case 1:
        // add eax, [rcx]
        return [0x03, 0x01];
      case 2: {
        // inc byte [rax]; add eax, …
        const rest = this.#address(0).length - 1 - this.#word(0).length;
        return [...this.#address(rest + 3), 0xfe, 0x00, 0x05, ...this.#word(random(256))];
      }
      default:
        // div or idiv
        return [0xf7, 0xf0 | (random(2) << 3) | divisor];
    }
  }

  /** Some instructions, now and then with a branch over some of them. */
  #straight(count: number): number[] {
    const random = this.#random;
    const code: number[] = [];
    for (let i = 0; i < count; i++) {
      if (this.#special !== undefined && random(2) === 0) {
        code.push(...this.#special());
        continue;
      }
      const kind = random(16);
      if (kind === 0) code.push(...this.#string());
      else if (kind === 1) code.push(...this.#counted());
      else if (kind === 2) code.push(...this.#flags());
      else if (kind === 3 && this.#bits !== 16) code.push(...this.#framed());
      else if (kind === 4 && this.#bits === 64) code.push(...this.#float());
      else if (kind === 5 && this.#wild) code.push(...this.#wildness());
      else if (kind < 12) code.push(...this.#instruction());
      else {
        const skipped = [...this.#instruction(), ...this.#instruction()];
        code.push(0x70 + random(16), skipped.length, ...skipped);
      }
    }
    return code;
  }

  /** An immediate or a distance, as wide as the code's. */
  #word(value: number): number[] {
    const bytes = this.#bits === 16 ? [0, 8] : [0, 8, 16, 24];
    return bytes.map((shift) => (value >> shift) & 0xff);
  }

  /** Takes the address of what follows into RAX, some bytes on. */
  #address(distance: number): number[] {
    // call 0; pop rax; add eax, …
    return [0xe8, ...this.#word(0), 0x58, 0x05, ...this.#word(distance)];
  }

  /**
   * A call of what RAX points to.
   * @param behind bytes from its end to the function
   * @param thunk bytes from its end to a {@link #retpoline}
   */
  #indirectCall(behind: number, thunk: number): number[] {
    const call = this.#random(2) === 0 ? [0xff, 0xd0] : [0xe8, ...this.#word(thunk)];
    // The address is that of the POP.
    const rest = this.#address(0).length - 1 - this.#word(0).length;
    return [...this.#address(rest + call.length + behind), ...call];
  }

  /** call 1f; 0: jmp 0b; 1: mov [rsp], rax; ret */
  #retpoline(): number[] {
    const prefix = { 64: [0x48], 32: [], 16: [0x67] }[this.#bits];
    const store = [...prefix, 0x89, 0x04, 0x24];
    return [0xe8, ...this.#word(2), 0xeb, 0xfe, ...store, 0xc3];
  }

  /** A jump to one of four places, by RCX, whose addresses no table has. */
  #tableJump(): number[] {
    const bits = [0x83, 0xe1, 3, 0xc1, 0xe1, 2];
    // push rcx; and ecx, 3; shl ecx, 2; add eax, ecx; pop rcx; jmp rax
    const jump = [0x51, ...bits, 0x01, 0xc8, 0x59, 0xff, 0xe0];
    const rest = this.#address(0).length - 1 - this.#word(0).length;
    // inc or dec of something; jmp to the end
    const places = [0xc2, 0xc6, 0xc7, 0xca].flatMap((modRm, n) => [0xff, modRm, 0xeb, 12 - 4 * n]);
    return [...this.#address(rest + jump.length), ...jump, ...places];
  }

  /** A loop, with a function that it calls, and HLT. */
  program(): number[] {
    const random = this.#random;
    // mov ecx, rounds; …; call; …; dec ecx; jnz body; hlt; the function: …; ret
    const rounds = this.#special === undefined ? 100 : 2000;
    const before = [0xb9, ...this.#word(50 + random(rounds))];
    const first = this.#straight(8);
    const distance = (bytes: number) => this.#word(bytes);
    const near = 1 + this.#word(0).length;
    const loop = (length: number) => [0xff, 0xc9, 0x0f, 0x85, ...distance(-(length + near + 3))];
    const jump = this.#tableJump();
    const callee = [...this.#straight(5), 0xc3];
    const rest = [...jump, ...this.#straight(4)];
    const isDirect = random(2) === 0;
    const behind = rest.length + loop(0).length + 1;
    const thunk = behind + callee.length;
    const call = isDirect ? [0xe8, ...distance(behind)] : this.#indirectCall(behind, thunk);
    const length = first.length + call.length + rest.length;
    return [
      ...before,
      ...first,
      ...call,
      ...rest,
      ...loop(length),
      0xf4,
      ...callee,
      ...this.#retpoline(),
    ];
  }
}

/**
 * @param wild whether it may fault, as `handleFaults` has it, and change itself
 * @param special as in {@link Programmer}
 */
export const program = (
  random: Random,
  mode: Mode,
  wild = false,
  special?: () => number[],
): number[] => new Programmer(random, mode, wild, special).program();
