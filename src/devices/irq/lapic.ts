import type { Clock } from "../../core/clock.ts";
import type { AccessSize, BusDevice, Resettable } from "../../core/device.ts";
import { floating } from "../../core/device.ts";
import { RegisterMap, type RegisterSpec } from "../../core/register-map.ts";
import { hex, PAGE_SIZE } from "../../core/units.ts";
import { type ApicMessage, DELIVERY, FIRST_VECTOR } from "./apic-message.ts";
import { ApicTimer } from "./apic-timer.ts";
import { LocalPin, LocalVector } from "./local-vector.ts";
import { VectorArbiter } from "./vector-arbiter.ts";
import { NONE, type VectorSet } from "./vector-set.ts";

/**
 * Intel SDM vol. 3A, "Local APIC Register Address Map". ISR, TMR and IRR lie between SVR and ESR.
 * The remote read register is that of older APICs.
 */
const LAYOUT = [
  { name: "ID", offset: 0x20, size: 4 },
  { name: "VERSION", offset: 0x30, size: 4 },
  { name: "TPR", offset: 0x80, size: 4 },
  { name: "APR", offset: 0x90, size: 4 },
  { name: "PPR", offset: 0xa0, size: 4 },
  { name: "EOI", offset: 0xb0, size: 4 },
  { name: "LDR", offset: 0xd0, size: 4 },
  { name: "DFR", offset: 0xe0, size: 4 },
  { name: "SVR", offset: 0xf0, size: 4 },
  { name: "ESR", offset: 0x280, size: 4 },
  { name: "ICR_LOW", offset: 0x300, size: 4 },
  { name: "ICR_HIGH", offset: 0x310, size: 4 },
  { name: "LVT_TIMER", offset: 0x320, size: 4 },
  { name: "LVT_THERMAL", offset: 0x330, size: 4 },
  { name: "LVT_PERFORMANCE", offset: 0x340, size: 4 },
  { name: "LVT_LINT0", offset: 0x350, size: 4 },
  { name: "LVT_LINT1", offset: 0x360, size: 4 },
  { name: "LVT_ERROR", offset: 0x370, size: 4 },
  { name: "INITIAL_COUNT", offset: 0x380, size: 4 },
  { name: "CURRENT_COUNT", offset: 0x390, size: 4 },
  { name: "DIVIDE", offset: 0x3e0, size: 4 },
] as const satisfies readonly RegisterSpec[];

const SLOT = 0x10;
const ISR = 0x100;
const TMR = 0x180;
const IRR = 0x200;
const VECTOR_SET_LENGTH = 0x80;

/** An APIC inside the processor, with six local vectors. */
const VERSION = 0x0005_0014;

const UPPER_BYTE = 0xff00_0000;
const DFR_FLAT = 0xf;
const DFR_MODEL = 0xf000_0000;
const BROADCAST = 0xff;

const SVR_ENABLE = 1 << 8;
/** Vector, enable, and focus processor checking: without other processors it has no effect. */
const SVR_WRITABLE = 0x3ff;

const ESR_SEND_ILLEGAL_VECTOR = 1 << 5;
const ESR_RECEIVED_ILLEGAL_VECTOR = 1 << 6;
const ESR_ILLEGAL_REGISTER = 1 << 7;

/** Vector, delivery mode, destination mode, level, trigger mode, destination shorthand. */
const ICR_WRITABLE = 0x000c_cfff;
const ICR_LOGICAL = 1 << 11;
const SHORTHAND = { NONE: 0, SELF: 1, ALL: 2, OTHERS: 3 } as const;

/** What a BIOS writes: enabled; 8259 at LINT0 (level, ExtINT), NMI at LINT1. */
const BIOS_SVR = 0x1ff;
const BIOS_LINT0 = 0x8700;
const BIOS_LINT1 = 0x8400;

export interface LocalApicOptions {
  readonly clock: Clock;
  /** The processor gets a non-maskable interrupt. */
  readonly onNmi: () => void;
  /** The handler of a level-triggered interrupt is done: I/O APICs want to know. */
  readonly onEndOfInterrupt: (vector: number) => void;
}

/**
 * The local APIC of the one processor, in xAPIC mode.
 * Source: Intel SDM vol. 3A, chapter "Advanced Programmable Interrupt Controller (APIC)".
 *
 * There is nobody else to talk to: messages to other processors vanish as on a machine that lacks
 * them, and INIT and start-up messages, which are for processors that wait to be started, do
 * nothing. The registers are 32 bits wide; narrower accesses see and change parts of them.
 */
export class LocalApic implements BusDevice, Resettable {
  /** Bytes of the register page. */
  readonly length = PAGE_SIZE;
  readonly lint0: LocalPin;
  readonly lint1: LocalPin;

  readonly #options: LocalApicOptions;
  readonly #registers: RegisterMap<typeof LAYOUT>;
  readonly #arbiter = new VectorArbiter();
  readonly #timer: ApicTimer;
  readonly #timerVector = LocalVector.timer();
  readonly #thermalVector = LocalVector.sensor();
  readonly #performanceVector = LocalVector.sensor();
  readonly #errorVector = LocalVector.error();
  #id = 0;
  #logicalId = 0;
  #destinationFormat = floating(4);
  #spurious = 0xff;
  /** Errors as of the last write of ESR, and those since. */
  #errors = 0;
  #newErrors = 0;
  #icrLow = 0;
  #icrHigh = 0;

  constructor(options: LocalApicOptions) {
    this.#options = options;
    const outputs = { request: this.#request.bind(this), nmi: options.onNmi };
    this.lint0 = new LocalPin(outputs);
    this.lint1 = new LocalPin(outputs);
    this.#timer = new ApicTimer({
      clock: options.clock,
      onExpiry: () => this.#request(this.#timerVector.vector, false),
    });
    this.#registers = this.#createRegisters();
  }

  /** Software-disabled, all local vectors masked. */
  reset(): void {
    this.#arbiter.reset();
    this.#timer.reset();
    for (const source of this.#localVectors) source.reset();
    this.#id = 0;
    this.#logicalId = 0;
    this.#destinationFormat = floating(4);
    this.#spurious = 0xff;
    this.#errors = 0;
    this.#newErrors = 0;
    this.#icrLow = 0;
    this.#icrHigh = 0;
  }

  /** As a BIOS leaves it to what it boots: virtual wire mode, the 8259 behind LINT0. */
  setFirmwareState(): void {
    this.#writeSpurious(BIOS_SVR);
    this.lint0.value = BIOS_LINT0;
    this.lint1.value = BIOS_LINT1;
  }

  describe(): readonly string[] {
    const list = ({ all }: VectorSet): string =>
      all.length === 0 ? "none" : all.map((vector) => hex(vector, 2)).join(" ");
    const { requests, inService } = this.#arbiter;
    return [
      `local APIC: ${this.enabled ? "enabled" : "disabled"}, requests ${list(requests)}, ` +
        `in service ${list(inService)}, task priority ${hex(this.taskPriority, 2)}`,
    ];
  }

  /** Whether any vector waits, be it for its priority or for the APIC to be enabled. */
  get requested(): boolean {
    return this.#arbiter.requested;
  }

  /** Whether the processor is asked to take a vector of this APIC's own. */
  get pending(): boolean {
    return this.enabled && this.#arbiter.next !== NONE;
  }

  /** Software enable (SVR bit 8). */
  get enabled(): boolean {
    return (this.#spurious & SVR_ENABLE) !== 0;
  }

  /** Whether an external controller asks, through a local pin in ExtINT mode. */
  get extInt(): boolean {
    return this.lint0.extInt || this.lint1.extInt;
  }

  /** The processor's acknowledge: the vector, or the spurious vector if nothing is pending. */
  acknowledge(): number {
    const vector = this.pending ? this.#arbiter.acknowledge() : NONE;
    return vector === NONE ? this.#spurious & 0xff : vector;
  }

  /** TPR, 8 bits. CR8 is its upper half. */
  get taskPriority(): number {
    return this.#arbiter.taskPriority;
  }

  set taskPriority(value: number) {
    this.#arbiter.taskPriority = value;
  }

  /** A message from the bus. Returns whether this APIC is meant, and takes it. */
  deliver({ mode, vector, level, destination, logical }: ApicMessage): boolean {
    if (!this.#addressed(destination, logical)) return false;
    return this.#take(mode, vector, level);
  }

  read(offset: number, size: AccessSize): number {
    const set = this.#vectorSet(offset);
    if (set !== undefined) {
      const word = set.word(Math.floor((offset % VECTOR_SET_LENGTH) / SLOT));
      return offset % SLOT < 4 ? (word >>> (8 * (offset % 4))) & floating(size) : 0;
    }
    this.#checkRegister(offset);
    return this.#registers.read(offset, size);
  }

  write(offset: number, size: AccessSize, value: number): void {
    if (this.#vectorSet(offset) !== undefined) return;
    this.#checkRegister(offset);
    this.#registers.write(offset, size, value);
  }

  get #localVectors(): readonly (LocalVector | LocalPin)[] {
    return [
      this.#timerVector,
      this.#thermalVector,
      this.#performanceVector,
      this.lint0,
      this.lint1,
      this.#errorVector,
    ];
  }

  #vectorSet(offset: number): VectorSet | undefined {
    if (offset < ISR || offset >= IRR + VECTOR_SET_LENGTH) return undefined;
    if (offset < TMR) return this.#arbiter.inService;
    return offset < IRR ? this.#arbiter.levelTriggered : this.#arbiter.requests;
  }

  #checkRegister(offset: number): void {
    if (!REGISTER_SLOTS.has(Math.floor(offset / SLOT))) this.#error(ESR_ILLEGAL_REGISTER);
  }

  #addressed(destination: number, logical: boolean): boolean {
    if (destination === BROADCAST) return true;
    if (!logical) return destination === this.#id >>> 24;
    const own = this.#logicalId >>> 24;
    if (this.#destinationFormat >>> 28 === DFR_FLAT) return (destination & own) !== 0;
    // Cluster model: four bits of cluster, a bit for each of its four processors.
    const cluster = destination >> 4;
    return (cluster === 0xf || cluster === own >> 4) && (destination & own & 0xf) !== 0;
  }

  #take(mode: number, vector: number, level: boolean): boolean {
    switch (mode) {
      case DELIVERY.FIXED:
      case DELIVERY.LOWEST_PRIORITY:
        return this.#request(vector, level);
      case DELIVERY.NMI:
        this.#options.onNmi();
        return true;
      default:
        return false;
    }
  }

  /** Returns whether the interrupt is taken, now or later. */
  #request(vector: number, level: boolean): boolean {
    if (vector < FIRST_VECTOR) {
      this.#error(ESR_RECEIVED_ILLEGAL_VECTOR);
      return false;
    }
    if (!this.enabled) return false;
    this.#arbiter.request(vector, level);
    return true;
  }

  #endOfInterrupt(): void {
    const vector = this.#arbiter.endOfInterrupt();
    if (vector === NONE || !this.#arbiter.levelTriggered.has(vector)) return;
    this.lint0.endOfInterrupt(vector);
    this.lint1.endOfInterrupt(vector);
    this.#options.onEndOfInterrupt(vector);
  }

  /** The error interrupt comes with the first error after ESR was written. */
  #error(bits: number): void {
    const first = this.#newErrors === 0;
    this.#newErrors |= bits;
    if (first && !this.#errorVector.masked) this.#request(this.#errorVector.vector, false);
  }

  #writeSpurious(value: number): void {
    this.#spurious = value & SVR_WRITABLE;
    if (!this.enabled) for (const source of this.#localVectors) source.mask();
    this.#configureTimer();
  }

  /** A software-disabled APIC keeps its local vectors masked. */
  #writeVector(source: LocalVector | LocalPin, value: number): void {
    const mask = this.enabled ? 0 : 1 << 16;
    source.value = value | mask;
  }

  #configureTimer(): void {
    const { periodic, masked } = this.#timerVector;
    this.#timer.configure({ periodic, silent: masked });
  }

  /** The write of ICR's lower half sends. */
  #send(): void {
    const vector = this.#icrLow & 0xff;
    const mode = (this.#icrLow >> 8) & 7;
    const toSelf = this.#sendsToSelf();
    const fixed = mode === DELIVERY.FIXED || mode === DELIVERY.LOWEST_PRIORITY;
    if (fixed && vector < FIRST_VECTOR) this.#error(ESR_SEND_ILLEGAL_VECTOR);
    if (toSelf) this.#take(mode, vector, false);
  }

  #sendsToSelf(): boolean {
    switch ((this.#icrLow >> 18) & 3) {
      case SHORTHAND.NONE:
        return this.#addressed(this.#icrHigh >>> 24, (this.#icrLow & ICR_LOGICAL) !== 0);
      case SHORTHAND.OTHERS:
        return false;
      default:
        return true;
    }
  }

  #createRegisters(): RegisterMap<typeof LAYOUT> {
    const timer = this.#timer;
    const localVector = (source: LocalVector | LocalPin) => ({
      read: () => source.value,
      write: (value: number) => this.#writeVector(source, value),
    });
    return new RegisterMap(
      LAYOUT,
      {
        ID: {
          read: () => this.#id,
          write: (value) => {
            this.#id = (value & UPPER_BYTE) >>> 0;
          },
        },
        VERSION: { read: () => VERSION },
        TPR: {
          read: () => this.taskPriority,
          write: (value) => {
            this.taskPriority = value & 0xff;
          },
        },
        // Arbitration is a matter of the old APIC bus: since the Pentium 4 nothing is there.
        APR: { read: () => 0 },
        PPR: { read: () => this.#arbiter.processorPriority },
        EOI: { read: () => 0, write: () => this.#endOfInterrupt() },
        LDR: {
          read: () => this.#logicalId,
          write: (value) => {
            this.#logicalId = (value & UPPER_BYTE) >>> 0;
          },
        },
        DFR: {
          read: () => this.#destinationFormat,
          write: (value) => {
            this.#destinationFormat = (value | ~DFR_MODEL) >>> 0;
          },
        },
        SVR: { read: () => this.#spurious, write: (value) => this.#writeSpurious(value) },
        ESR: {
          read: () => this.#errors,
          write: () => {
            this.#errors = this.#newErrors;
            this.#newErrors = 0;
          },
        },
        ICR_LOW: {
          read: () => this.#icrLow,
          write: (value) => {
            this.#icrLow = value & ICR_WRITABLE;
            this.#send();
          },
        },
        ICR_HIGH: {
          read: () => this.#icrHigh,
          write: (value) => {
            this.#icrHigh = (value & UPPER_BYTE) >>> 0;
          },
        },
        LVT_TIMER: {
          read: () => this.#timerVector.value,
          write: (value) => {
            this.#writeVector(this.#timerVector, value);
            this.#configureTimer();
          },
        },
        LVT_THERMAL: localVector(this.#thermalVector),
        LVT_PERFORMANCE: localVector(this.#performanceVector),
        LVT_LINT0: localVector(this.lint0),
        LVT_LINT1: localVector(this.lint1),
        LVT_ERROR: localVector(this.#errorVector),
        INITIAL_COUNT: {
          read: () => timer.initialCount,
          write: (value) => {
            timer.initialCount = value;
          },
        },
        CURRENT_COUNT: { read: () => timer.currentCount },
        DIVIDE: {
          read: () => timer.divideConfiguration,
          write: (value) => {
            timer.divideConfiguration = value;
          },
        },
      },
      PAGE_SIZE,
    );
  }
}

const REGISTER_SLOTS: ReadonlySet<number> = new Set(LAYOUT.map(({ offset }) => offset / SLOT));
