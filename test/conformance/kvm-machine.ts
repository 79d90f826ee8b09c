import type { Registers } from "../../src/core/cpu.ts";
import { GuestMemory } from "../../src/core/guest-memory.ts";
import {
  CODE_FILL,
  CODE_PAGE,
  CODE_SELECTOR,
  CR0,
  CR4,
  DATA,
  DATA_SELECTOR,
  DATA_SIZE,
  EFER,
  LANDING_PAGE,
  PAGE,
  READ_ONLY,
  readOnlyContents,
} from "./environment.ts";
import {
  bootProgram,
  CONTROL,
  HARNESS,
  handlerAddress,
  handlerProgram,
  landingPage,
  runnerProgram,
  SYSTEM,
} from "./kvm-program.ts";
import { PageTables, PTE } from "./page-tables.ts";
import { RECORD } from "./record.ts";
import { SELECTOR, systemPage, systemRegisters, VECTORS } from "./system-page.ts";

const MEMORY_SIZE = 0x40_0000;
const WASM_PAGE = 0x1_0000;
const EXIT_GPA = 0x1_0000_0000;

const USER = PTE.USER;
const USER_DATA = PTE.USER | PTE.WRITABLE | PTE.NO_EXECUTE;

/** The guest around the snippets: memory, descriptor and page tables, programs. */
export class KvmMachine {
  readonly memory: GuestMemory;
  /** Records that fit. */
  readonly capacity: number;
  /** Records, adjacent. */
  readonly records: Uint8Array<ArrayBuffer>;
  readonly #control: DataView;
  readonly #tables: PageTables;

  /** @param avx whether there are upper halves of YMM registers */
  constructor(avx: boolean) {
    const pages = { initial: MEMORY_SIZE / WASM_PAGE, maximum: MEMORY_SIZE / WASM_PAGE };
    this.memory = new GuestMemory(new WebAssembly.Memory(pages).buffer);
    this.#tables = new PageTables(this.memory, PAGE);
    const runner = runnerProgram(avx);
    this.#mapEnvironment();
    this.#place(HARNESS.PROGRAM, runner.code, USER);
    this.#place(LANDING_PAGE, landingPage(runner.saver), USER);
    this.#place(HARNESS.CURRENT, new Uint8Array(PAGE), USER_DATA);
    this.#tables.map(HARNESS.EXIT, EXIT_GPA, USER_DATA);
    const control = this.#place(HARNESS.CONTROL, new Uint8Array(PAGE), USER_DATA);
    this.#control = new DataView(this.memory.buffer, control, PAGE);
    this.#writeFrame(CONTROL.START_FRAME, runner.start);
    this.#writeFrame(CONTROL.SAVER_FRAME, runner.saver);
    this.#placeSystem(avx);

    const tablesToCome = 4;
    const used = this.#tables.allocate() + tablesToCome * PAGE;
    this.capacity = Math.floor((MEMORY_SIZE - used) / RECORD.SIZE);
    const recordPages = Math.ceil((this.capacity * RECORD.SIZE) / PAGE);
    const records = this.#tables.allocate(recordPages);
    this.records = this.memory.slice(records, this.capacity * RECORD.SIZE);
    this.#tables.map(HARNESS.RECORDS, records, USER_DATA, recordPages);
  }

  /** Has the runner work through the first `count` records. */
  arm(count: number): void {
    this.#control.setBigUint64(CONTROL.CURSOR, BigInt(HARNESS.RECORDS), true);
    this.#control.setBigUint64(CONTROL.COUNT, BigInt(count), true);
  }

  /** The record that the runner is at. */
  get position(): number {
    const cursor = this.#control.getBigUint64(CONTROL.CURSOR, true);
    return Number(cursor - BigInt(HARNESS.RECORDS)) / RECORD.SIZE;
  }

  /** @param registers power-on state, for what stays as it is */
  boot(registers: Registers): Registers {
    const data = {
      selector: SELECTOR.KERNEL_DATA,
      base: 0n,
      limit: 0xffff_ffff,
      attributes: 0xc093,
    };
    return {
      ...registers,
      ...{ cr0: CR0, cr3: BigInt(this.#tables.root), cr4: CR4, efer: EFER },
      ...{ ss: data, ds: data, es: data, fs: data, gs: data },
      cs: { ...data, selector: SELECTOR.KERNEL_CODE, attributes: 0xa09b },
      ...systemRegisters(HARNESS.SYSTEM),
      rip: BigInt(HARNESS.SYSTEM + SYSTEM.BOOT),
      rsp: BigInt(HARNESS.CURRENT + RECORD.STACK_TOP),
      rflags: 2n,
    };
  }

  #mapEnvironment(): void {
    const code = this.#place(CODE_PAGE, new Uint8Array(PAGE).fill(CODE_FILL), USER);
    this.#tables.map(HARNESS.CODE_ALIAS, code, USER_DATA);
    this.#place(DATA, new Uint8Array(DATA_SIZE), USER_DATA);
    this.#place(READ_ONLY, readOnlyContents(), USER | PTE.NO_EXECUTE);
  }

  /** New pages with these contents. @returns their guest physical address */
  #place(linear: number, contents: Uint8Array, flags: bigint): number {
    const pages = Math.ceil(contents.length / PAGE);
    const physical = this.#tables.allocate(pages);
    this.memory.write(physical, contents);
    this.#tables.map(linear, physical, flags, pages);
    return physical;
  }

  /** A frame for IRETQ to level 3 (Intel SDM vol. 3A figure 6-9). */
  #writeFrame(offset: number, rip: number): void {
    const stack = HARNESS.CURRENT + RECORD.STACK_TOP;
    [rip, CODE_SELECTOR[64], 2, stack, DATA_SELECTOR].forEach((value, index) => {
      this.#control.setBigUint64(offset + index * 8, BigInt(value), true);
    });
  }

  #placeSystem(avx: boolean): void {
    const page = systemPage({
      address: HARNESS.SYSTEM,
      stack: HARNESS.CURRENT + RECORD.FRAME_TOP,
      handler: handlerAddress,
    });
    for (let vector = 0; vector < VECTORS; vector++) {
      page.set(handlerProgram(vector), handlerAddress(vector) - HARNESS.SYSTEM);
    }
    page.set(bootProgram(avx), SYSTEM.BOOT);
    this.#place(HARNESS.SYSTEM, page, PTE.WRITABLE);
  }
}
