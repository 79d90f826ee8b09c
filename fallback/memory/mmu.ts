import { CR4 } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Processor } from "../processor.ts";
import { RAM_BASE, STATE, TLB_OF_USER, USER_CODE, type WindowArea } from "../state.ts";
import { CodePages } from "./code-pages.ts";
import type { CodePage } from "./code-tlb.ts";
import { isCanonicalLinear } from "./linear.ts";
import { MmioLog } from "./mmio.ts";
import { type Access, copyPdptes, loadPdptes, PageWalker, pageFault, WALK } from "./paging.ts";
import { PAGE_SHIFT, PAGE_SIZE, PhysicalMemory } from "./physical.ts";
import { Translations } from "./translations.ts";
import { WatchedAccess, type Watchpoint, Watchpoints } from "./watchpoints.ts";
import type { WindowRule } from "./window.ts";

const WORD = 0x1_0000_0000;
const CHUNK = 2 * 1024 * 1024;
const USER_LEVEL = 3;

/** Widths of accesses whose value is a number. */
export type NumberSize = 1 | 2 | 4;

/**
 * Memory as instructions see it: linear addresses, permissions, RAM and what is not RAM. Linear
 * addresses are signed numbers and canonical (`linear.ts`); `user` says with whose rights an access
 * is made: by default the current level's, `false` for what the processor does of its own accord
 * (descriptor tables, TSS).
 *
 * All accessors throw #PF as a `CpuException` (CR2 set), and `MmioNeeded` outside RAM. An access
 * across two pages checks both before the first byte is written.
 */
export class Mmu {
  readonly memory: PhysicalMemory;
  readonly mmio = new MmioLog();
  readonly codePages: CodePages;
  /** A write went to pages that hold translated code. Called before the bytes change. */
  onCodeWrite: (address: number, length: number) => void = () => {};
  /** Linear addresses may mean something else from now on. */
  onFlush: () => void = () => {};
  /** How often memory that was in a window may have ceased to qualify. */
  losses = 0;
  /** The same, for those of one page that code was fetched from. */
  onForgetCode: (page: CodePage) => void = () => {};
  /** Some mapping has changed. */
  onChange: () => void = () => {};

  readonly #p: Processor;
  readonly #walker: PageWalker;
  readonly #supervisor: Translations;
  readonly #user: Translations;
  /** The one of them that the current level's rights are. */
  #current: Translations;
  readonly #watchpoints = new Watchpoints();
  readonly #fromOutside = new Watchpoints();
  /** See {@link trackWrites}. */
  #written: Set<number> | undefined;
  /**
   * Whether accesses that are watched from outside are not made, but throw `WatchedAccess`: the
   * instruction is then executed by itself, so that one can stop behind it.
   */
  abandonsWatched = false;

  /** @param ramSize bytes of guest RAM, which lies in the processor's memory at `RAM_BASE` */
  constructor(p: Processor, ramSize: number) {
    this.#p = p;
    this.memory = new PhysicalMemory(p.buffer, ramSize);
    this.codePages = new CodePages(ramSize);
    this.#walker = new PageWalker(p, this.memory, (address, length) => {
      this.noticeWrite(address, length);
    });
    // Kept here: the state may be replaced by one of another time.
    let readLosses = 0;
    const translations = (user: boolean) =>
      new Translations(
        p.view,
        user,
        (access) => this.#rule(access),
        (page) => this.onForgetCode(page),
        (access) => {
          if (access === "read") p.view.setInt32(STATE.READ_WINDOWS_VERSION, ++readLosses, true);
        },
      );
    this.#supervisor = translations(false);
    this.#user = translations(true);
    this.#current = this.#supervisor;
    this.#select();
  }

  /** Rights of the current level. */
  get user(): boolean {
    return this.#p.cpl === USER_LEVEL;
  }

  /**
   * Guest physical address of a linear one; sets accessed and dirty flags. The address may be
   * outside RAM.
   * @throws CpuException #PF
   */
  translate(linear: number, access: Access, user = this.user): number {
    const offset = linear & (PAGE_SIZE - 1);
    const current = user === this.user;
    if (current && access !== "execute") {
      const host = this.#current.tlb.lookup(linear, access === "write");
      if (host >= 0) return host - RAM_BASE + offset;
    }
    const walker = this.#walker;
    const status = walker.walk(linear);
    if (status !== WALK.MAPPED || !walker.permits(access, user)) {
      throw pageFault(this.#p, linear, access, user, status);
    }
    walker.setAccessed(access === "write");
    const { page } = walker;
    if (current && access !== "execute" && this.memory.allows("read", page, PAGE_SIZE)) {
      this.#remember(linear - offset, page, user, access === "write");
    }
    return page + offset;
  }

  /** Guest physical address of a linear one in RAM, if an access would change no flags; else -1. */
  probe(linear: number, access: "read" | "execute"): number {
    const walker = this.#walker;
    const mapped = walker.walk(linear) === WALK.MAPPED && walker.accessed;
    if (!mapped || !walker.permits(access, this.user)) return -1;
    const address = walker.page + (linear & (PAGE_SIZE - 1));
    return this.memory.allows(access, address, 1) ? address : -1;
  }

  /**
   * The page that code at a linear address is on. It may be outside RAM.
   * @throws CpuException #PF
   */
  fetchPage(linear: number): CodePage {
    const number = Math.floor(linear / PAGE_SIZE);
    const known = this.#current.code.get(number);
    if (known !== undefined) return known;
    const address = this.translate(linear, "execute");
    return this.#addCode(number, address - (linear & (PAGE_SIZE - 1)));
  }

  /** The same, if a fetch would change no flags and is from RAM. */
  probePage(linear: number): CodePage | undefined {
    const number = Math.floor(linear / PAGE_SIZE);
    const known = this.#current.code.get(number);
    if (known !== undefined) {
      return this.memory.allows("execute", known.address, 1) ? known : undefined;
    }
    const address = this.probe(number * PAGE_SIZE, "execute");
    return address < 0 ? undefined : this.#addCode(number, address);
  }

  /** The last walk was that for the page. */
  #addCode(number: number, address: number): CodePage {
    const { span } = this.#walker;
    if (this.#current.code.isFull) this.#forgetAll();
    return this.#current.code.add(number, address, span, this.#isGlobal);
  }

  /** Whether what the last walk found stays when CR3 is loaded (§4.10.2.4). */
  get #isGlobal(): boolean {
    return this.#walker.global && (this.#p.cr4 & CR4.PGE) !== 0;
  }

  /** Whether a write that {@link check} permits goes to translated code. */
  isCode(linear: number, size: number): boolean {
    const last = linear + size - 1;
    return [linear, last].some((at) => {
      return this.codePages.has(this.translate(at, "write") >>> PAGE_SHIFT);
    });
  }

  /**
   * Code is about to be fetched from a page of RAM.
   * @throws MmioNeeded when the page is protected from that
   */
  checkFetch(address: number): void {
    if (!this.memory.allows("execute", address, 1)) this.mmio.read(address, 1);
  }

  /** Checks an access without making it: what follows will not fail. @throws CpuException #PF */
  check(linear: number, size: number, access: Access, user = this.user): void {
    if (this.abandonsWatched && this.#fromOutside.watches(linear, size, access === "write")) {
      throw new WatchedAccess();
    }
    this.translate(linear, access, user);
    const inPage = PAGE_SIZE - (linear & (PAGE_SIZE - 1));
    if (inPage < size) this.translate(this.#after(linear, inPage), access, user);
  }

  /** Drops the translations of all pages: CR0, CR4 and EFER changed. */
  flush(): void {
    this.#select();
    this.#forgetAll();
    this.onChange();
  }

  /** Drops the translations of all pages that are not global: CR3 is loaded. */
  loadRoot(): void {
    if ((this.#p.cr4 & CR4.PGE) === 0) {
      this.flush();
      return;
    }
    this.losses++;
    this.#supervisor.forgetLocal();
    this.#user.forgetLocal();
    this.onChange();
  }

  #forgetAll(): void {
    this.losses++;
    this.#supervisor.forget();
    this.#user.forget();
    this.onFlush();
  }

  /** All of the processor's state has been set from outside: as {@link flush}, and PAE's entries. */
  stateReplaced(): void {
    const { paging, longMode, cr3, cr4 } = this.#p;
    if (paging && !longMode && (cr4 & CR4.PAE) !== 0) copyPdptes(this.#p, this.memory, cr3);
    this.flush();
  }

  /** INVLPG. @param linear canonical */
  invalidatePage(linear: number): void {
    const both = [this.#supervisor, this.#user];
    // Windows grow where the TLB misses: without them it has to go too.
    if (both.some(({ windows }) => windows.some((window) => window.near(linear)))) {
      this.flush();
      return;
    }
    for (const { tlb, code } of both) {
      tlb.invalidate(linear);
      code.invalidate(Math.floor(linear / PAGE_SIZE));
    }
    this.losses++;
    this.onChange();
  }

  /** Lets a window be where accesses miss it. @returns whether it is there now */
  moveWindow(area: WindowArea, access: "read" | "write", linear: number): boolean {
    return this.#current[access][area].moveTo(linear - (linear & (PAGE_SIZE - 1)));
  }

  /** Sets the privilege level. */
  changePrivilege(level: number): void {
    const wasUser = this.user;
    this.#p.cpl = level;
    if (this.user !== wasUser) this.#select();
  }

  /** What is remembered with the current level's rights is looked into from now on. */
  #select(): void {
    this.losses++;
    const { user } = this;
    const current = user ? this.#user : this.#supervisor;
    this.#current.hide();
    this.#current = current;
    current.show();
    this.#p.view.setInt32(STATE.TLB_AT, user ? TLB_OF_USER : 0, true);
    this.#p.view.setBigInt64(STATE.CODE_RIGHTS, user ? USER_CODE : 0n, true);
  }

  /** Looks out for accesses to data: pages with watchpoints are always accessed through here. */
  watch(watchpoints: readonly Watchpoint[]): void {
    if (!this.#watchpoints.any && watchpoints.length === 0) return;
    this.#watchpoints.set(watchpoints);
    this.flush();
  }

  /** A watched port has been accessed. @param bit for {@link takeWatchpointHits} */
  watchpointHit(bit: number): void {
    this.#watchpoints.hit(bit);
  }

  /** Bits of the watchpoints that have been accessed since the last call. */
  takeWatchpointHits(): number {
    return this.#watchpoints.take();
  }

  /** As {@link watch}, for somebody outside of the guest. */
  watchFromOutside(watchpoints: readonly Watchpoint[]): void {
    this.#fromOutside.set(watchpoints);
    this.flush();
  }

  /** As {@link takeWatchpointHits}. */
  takeOutsideHits(): number {
    return this.#fromOutside.take();
  }

  /** Whether anybody looks out for accesses to some of these bytes, which are a page's or aligned. */
  watched(linear: number, length = PAGE_SIZE): boolean {
    return this.#watchpoints.within(linear, length) || this.#fromOutside.within(linear, length);
  }

  /**
   * Notes from now on which pages are written: no write may go past this class then.
   * @returns numbers of guest physical pages, in a set that grows until the next call
   */
  trackWrites(): ReadonlySet<number> {
    this.#written = new Set();
    this.#supervisor.protectAll();
    this.#user.protectAll();
    return this.#written;
  }

  #accessed(linear: number, length: number, write: boolean): void {
    if (!this.abandonsWatched) this.#fromOutside.accessed(linear, length, write);
    else if (this.#fromOutside.watches(linear, length, write)) throw new WatchedAccess();
    this.#watchpoints.accessed(linear, length, write);
  }

  /** PAE paging's four entries, from the table that CR3 (or what will be) points to. */
  loadPdptes(cr3: bigint): void {
    loadPdptes(this.#p, this.memory, cr3);
  }

  /** Code was translated from a page: from now on writes to it are noticed. @param page number */
  markCode(page: number): void {
    if (!this.codePages.mark(page)) return;
    this.losses++;
    const address = page * PAGE_SIZE;
    this.#supervisor.protect(address, RAM_BASE + address);
    this.#user.protect(address, RAM_BASE + address);
  }

  /** No translated code is left on a page. @param page number */
  unmarkCode(page: number): void {
    this.codePages.unmark(page);
  }

  read(linear: number, size: NumberSize, user = this.user): number {
    const offset = linear & (PAGE_SIZE - 1);
    if (offset + size > PAGE_SIZE) return Number(this.#readAcross(linear, size, user));
    const address = this.translate(linear, "read", user);
    this.#accessed(linear, size, false);
    if (!this.memory.allows("read", address, size)) return Number(this.mmio.read(address, size));
    const { view } = this.memory;
    if (size === 4) return view.getUint32(address, true);
    return size === 2 ? view.getUint16(address, true) : view.getUint8(address);
  }

  read64(linear: number, user = this.user): bigint {
    if ((linear & (PAGE_SIZE - 1)) + 8 > PAGE_SIZE) return this.#readAcross(linear, 8, user);
    const address = this.translate(linear, "read", user);
    this.#accessed(linear, 8, false);
    if (!this.memory.allows("read", address, 8)) return this.mmio.read(address, 8);
    return this.memory.view.getBigUint64(address, true);
  }

  /** @param value its low `size` bytes are written */
  write(linear: number, size: NumberSize, value: number, user = this.user): void {
    if ((linear & (PAGE_SIZE - 1)) + size > PAGE_SIZE) {
      this.#writeAcross(linear, size, BigInt.asUintN(8 * size, BigInt(value)), user);
      return;
    }
    const address = this.translate(linear, "write", user);
    this.#accessed(linear, size, true);
    if (!this.memory.allows("write", address, size)) {
      this.mmio.write(address, size, BigInt.asUintN(8 * size, BigInt(value)));
      return;
    }
    this.noticeWrite(address, size);
    const { view } = this.memory;
    if (size === 4) view.setUint32(address, value, true);
    else if (size === 2) view.setUint16(address, value, true);
    else view.setUint8(address, value);
  }

  write64(linear: number, value: bigint, user = this.user): void {
    if ((linear & (PAGE_SIZE - 1)) + 8 > PAGE_SIZE) {
      this.#writeAcross(linear, 8, BigInt.asUintN(64, value), user);
      return;
    }
    const address = this.translate(linear, "write", user);
    this.#accessed(linear, 8, true);
    if (!this.memory.allows("write", address, 8)) {
      this.mmio.write(address, 8, BigInt.asUintN(64, value));
      return;
    }
    this.noticeWrite(address, 8);
    this.memory.view.setBigUint64(address, value, true);
  }

  /** Reads as many bytes as `target` has, at most a page. */
  readBytes(linear: number, target: Uint8Array, user = this.user): void {
    const first = Math.min(target.length, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    const address = this.translate(linear, "read", user);
    const rest =
      first < target.length ? this.translate(this.#after(linear, first), "read", user) : 0;
    this.#accessed(linear, target.length, false);
    this.#readPhysical(address, target.subarray(0, first));
    if (first < target.length) this.#readPhysical(rest, target.subarray(first));
  }

  /** Writes the bytes of `source`, at most a page of them. */
  writeBytes(linear: number, source: Uint8Array, user = this.user): void {
    const first = Math.min(source.length, PAGE_SIZE - (linear & (PAGE_SIZE - 1)));
    const address = this.translate(linear, "write", user);
    const rest =
      first < source.length ? this.translate(this.#after(linear, first), "write", user) : 0;
    this.#accessed(linear, source.length, true);
    this.#writePhysical(address, source.subarray(0, first));
    if (first < source.length) this.#writePhysical(rest, source.subarray(first));
  }

  /**
   * Where the second page of an access begins. Outside 64-bit mode addresses wrap at 4 GiB.
   * @throws CpuException #GP(0) where an access would leave the lower canonical half
   */
  #after(linear: number, bytes: number): number {
    const next = linear + bytes;
    if (next === WORD && !this.#p.code64) return 0;
    if (!isCanonicalLinear(next)) throw generalProtection();
    return next;
  }

  #remember(linear: number, page: number, user: boolean, write: boolean): void {
    if (this.watched(linear)) return;
    const number = page >>> PAGE_SHIFT;
    const tracked = this.#written !== undefined;
    const writable =
      (!tracked || write) &&
      this.#walker.dirty &&
      this.#walker.permits("write", user) &&
      !this.codePages.has(number) &&
      this.memory.allows("write", page, PAGE_SIZE);
    if (writable) this.#written?.add(number);
    const { tlb, read, write: writeWindows } = this.#current;
    tlb.fill(linear, RAM_BASE + page, writable, this.#walker.span, this.#isGlobal);
    if (linear !== page) return;
    read.general.missed(page);
    if (write && writable) writeWindows.general.missed(page);
  }

  /** What windows may hold: identity-mapped RAM, permitted, with its flags set already. */
  #rule(access: "read" | "write"): WindowRule {
    const write = access === "write";
    const mayOpen = (): boolean => !write || this.#written === undefined;
    const qualifies = (address: number) => {
      const walker = this.#walker;
      return (
        walker.walk(address) === WALK.MAPPED &&
        walker.page === address &&
        walker.accessed &&
        walker.permits(access, this.user) &&
        (!write || walker.dirty)
      );
    };
    return {
      page: (address) =>
        mayOpen() &&
        this.memory.allows(access, address, PAGE_SIZE) &&
        !(write && this.codePages.has(address >>> PAGE_SHIFT)) &&
        !this.watched(address) &&
        qualifies(address),
      chunk: (address) =>
        mayOpen() &&
        this.memory.allowsChunk(address) &&
        !(write && this.codePages.inChunk(address)) &&
        !this.watched(address, CHUNK) &&
        qualifies(address) &&
        this.#walker.span >= CHUNK,
    };
  }

  /** RAM is written, by whomever: code that was translated from there is dropped. */
  noticeWrite(address: number, length: number): void {
    const last = (address + length - 1) >>> PAGE_SHIFT;
    const first = address >>> PAGE_SHIFT;
    if (this.#written !== undefined) {
      for (let page = first; page <= last; page++) this.#written.add(page);
    }
    for (let page = first; page <= last; page++) {
      if (!this.codePages.has(page)) continue;
      this.onCodeWrite(address, length);
      return;
    }
  }

  #readAcross(linear: number, size: number, user: boolean): bigint {
    const bytes = new Uint8Array(8);
    this.readBytes(linear, bytes.subarray(0, size), user);
    return new DataView(bytes.buffer).getBigUint64(0, true);
  }

  #writeAcross(linear: number, size: number, value: bigint, user: boolean): void {
    const bytes = new Uint8Array(8);
    new DataView(bytes.buffer).setBigUint64(0, value, true);
    this.writeBytes(linear, bytes.subarray(0, size), user);
  }

  #readPhysical(address: number, target: Uint8Array): void {
    if (this.memory.allows("read", address, target.length)) {
      target.set(this.memory.bytes.subarray(address, address + target.length));
      return;
    }
    const view = new DataView(new ArrayBuffer(8));
    for (let at = 0; at < target.length; at += 8) {
      const size = Math.min(8, target.length - at);
      view.setBigUint64(0, this.mmio.read(address + at, size), true);
      target.set(new Uint8Array(view.buffer, 0, size), at);
    }
  }

  #writePhysical(address: number, source: Uint8Array): void {
    if (this.memory.allows("write", address, source.length)) {
      this.noticeWrite(address, source.length);
      this.memory.bytes.set(source, address);
      return;
    }
    for (let at = 0; at < source.length; at += 8) {
      const part = source.subarray(at, at + 8);
      const value = part.reduce(
        (all, byte, index) => all | (BigInt(byte) << BigInt(8 * index)),
        0n,
      );
      this.mmio.write(address + at, part.length, value);
    }
  }
}
