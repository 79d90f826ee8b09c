import type { ProcessorState } from "../../core/processor-state.ts";
import { PAGE_SIZE } from "../../core/units.ts";
import type { Machine } from "../../machine/machine.ts";
import type { Resumption } from "../../machine/run-control.ts";
import { readLinear, writeLinear } from "../linear-memory.ts";
import type { Monitor } from "../monitor/monitor.ts";
import { type PagingRegisters, walkPages } from "../page-walk.ts";
import type { DebugTarget, OfferedFile, Region } from "./target.ts";

/** Regions are told page by page: how many that are alike are told at once. */
const MAX_REGION_PAGES = 1024;

/** A machine to debug. */
export class MachineTarget implements DebugTarget {
  readonly executable: OfferedFile | undefined;
  readonly #machine: Machine;
  readonly #monitor: Monitor;

  constructor(machine: Machine, executable: OfferedFile | undefined, monitor: Monitor) {
    this.#machine = machine;
    this.executable = executable;
    this.#monitor = monitor;
  }

  get standing(): boolean {
    return this.#machine.control.standing;
  }

  get interruptsWhileStepping(): boolean {
    return this.#monitor.interruptsWhileStepping;
  }

  readState(): ProcessorState {
    return this.#machine.cpu.readState();
  }

  /** Registers alone are not worth the whole state, which may cost what was translated. */
  writeState(state: ProcessorState): void {
    const { cpu } = this.#machine;
    const before = cpu.readState();
    // A processor that is sent elsewhere does not sleep there.
    if (before.registers.rip !== state.registers.rip) this.#machine.rouse();
    if (sameBesidesRegisters(before, state)) cpu.writeRegisters(state.registers);
    else cpu.writeState(state);
  }

  readMemory(linear: bigint, length: number): Uint8Array {
    const { cpu, memory } = this.#machine;
    return readLinear(cpu.readRegisters(), memory, linear, length);
  }

  writeMemory(linear: bigint, bytes: Uint8Array): boolean {
    const { cpu, memory } = this.#machine;
    return writeLinear(cpu.readRegisters(), memory, linear, bytes);
  }

  region(linear: bigint): Region {
    const registers = this.#machine.cpu.readRegisters();
    const first = linear - (linear % BigInt(PAGE_SIZE));
    const alike = (n: number): boolean =>
      this.#permissions(registers, page(first, n)) === permissions;
    const permissions = this.#permissions(registers, first);
    let pages = 1;
    while (pages < MAX_REGION_PAGES && alike(pages)) pages++;
    return { start: first, size: BigInt(pages * PAGE_SIZE), permissions };
  }

  stop(): void {
    this.#machine.control.stop();
    this.#machine.control.attached = true;
  }

  resume(resumption: Resumption): void {
    this.#machine.control.resume(resumption);
  }

  release(): void {
    this.#machine.control.release();
  }

  reset(): void {
    this.#machine.reset();
  }

  kill(): void {
    this.#monitor.kill();
  }

  monitor(command: string): string {
    return this.#monitor.execute(command);
  }

  #permissions(registers: PagingRegisters, linear: bigint): string {
    const { memory } = this.#machine;
    const { mapping } = walkPages(registers, memory, linear);
    if (mapping === undefined || !memory.contains(Number(mapping.physical), PAGE_SIZE)) return "";
    return `r${mapping.writable ? "w" : ""}${mapping.executable ? "x" : ""}`;
  }
}

const page = (first: bigint, n: number): bigint =>
  BigInt.asUintN(64, first + BigInt(n * PAGE_SIZE));

const sameBesidesRegisters = (a: ProcessorState, b: ProcessorState): boolean =>
  a.apicBase === b.apicBase &&
  a.fx.every((byte, at) => byte === b.fx[at]) &&
  a.ymmUppers.every((byte, at) => byte === b.ymmUppers[at]) &&
  a.debugRegisters.every((value, n) => value === b.debugRegisters[n]) &&
  (Object.keys(a.msrs) as (keyof ProcessorState["msrs"])[]).every(
    (name) => a.msrs[name] === b.msrs[name],
  );
