import { CR4 } from "../bits.ts";
import { generalProtection } from "../exceptions.ts";
import type { Processor } from "../processor.ts";
import { RAM_BASE, STATE, TLB_OF_USER, USER_CODE, WALK_FIELD, type WindowArea } from "../state.ts";
import { CodePages } from "./code-pages.ts";
import type { CodePage } from "./code-tlb.ts";
import { expectAlike } from "./expected-pages.ts";
import { isCanonicalLinear } from "./linear.ts";
import { type Access, copyPdptes, loadPdptes, PageWalker, pageFault, WALK } from "./paging.ts";
import { CHUNK, PAGE_SHIFT, PAGE_SIZE, PhysicalMemory } from "./physical.ts";
import { Translations } from "./translations.ts";
import { type Watchpoint, Watchpoints } from "./watchpoints.ts";
import type { WindowRule } from "./window.ts";

const USER_LEVEL = 3;
/** Of the upper half of a key. */
const USER_BIT = Number(USER_CODE >> 32n);

/**
 * Where linear addresses lead, with whose rights, and what is remembered of it: in TLBs and windows,
 * and of code. Also who has to hear of accesses: watchpoints, and what was translated from memory.
 */
export class Mappings {
  readonly memory: PhysicalMemory;
  readonly codePages: CodePages;
  /** A write went to pages that hold translated code. Called before the bytes change. */
  onCodeWrite: (address: number, length: number) => void = () => {};
  /** How often memory that was in a window may have ceased to qualify. */
  losses = 0;
  /** The linear addresses of a page that code was fetched from may mean something else from now on. */
  onForgetCode: (page: CodePage) => void = () => {};
  /** As in `CodeTlbListener`. */
  onReviveCode: (page: CodePage) => void = () => {};
  /** Some mapping has changed. */
  onChange: () => void = () => {};

  protected readonly p: Processor;
  readonly #walker: PageWalker;
  readonly #supervisor: Translations;
  readonly #user: Translations;
  /** The one of them that the current level's rights are. */
  #current: Translations;
  /** Whether the guest has had global pages since it switched paging on. */
  #knowsGlobal = false;
  protected readonly watchpoints = new Watchpoints();
  protected readonly fromOutside = new Watchpoints();
  /** See {@link checkAlignment}. */
  protected alignmentChecked = false;
  /** See {@link trackWrites}. */
  #written: Set<number> | undefined;

  /** @param ramSize bytes of guest RAM, which lies in the processor's memory at `RAM_BASE` */
  constructor(p: Processor, ramSize: number) {
    this.p = p;
    this.memory = new PhysicalMemory(p.buffer, ramSize);
    this.codePages = new CodePages(p.buffer, ramSize);
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
        {
          onForgetCode: (page) => this.onForgetCode(page),
          onReviveCode: (page) => this.onReviveCode(page),
        },
        (access) => {
          if (access === "read") p.view.setInt32(STATE.READ_WINDOWS_VERSION, ++readLosses, true);
        },
      );
    this.#supervisor = translations(false);
    this.#user = translations(true);
    this.#current = this.#supervisor;
    this.#select();
    this.#describeWalks();
  }

  /** Rights of the current level. */
  get user(): boolean {
    return this.p.cpl === USER_LEVEL;
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
      const { tlb } = this.#current;
      const host = tlb.lookup(linear, access === "write" ? "WRITE_PAGE" : "READ_PAGE");
      if (host >= 0) return host - RAM_BASE + offset;
      const code = access === "write" ? tlb.lookup(linear, "CODE_PAGE") - RAM_BASE : -1;
      if (code >= 0 && this.codePages.has(code >>> PAGE_SHIFT)) return code + offset;
    }
    const walker = this.#walker;
    const status = walker.walk(linear);
    if (status !== WALK.MAPPED || !walker.permits(access, user)) {
      throw pageFault(this.p, linear, access, user, status);
    }
    const isFirst = !walker.accessed;
    walker.setAccessed(access === "write");
    if (isFirst && walker.span >= CHUNK && walker.page === linear - offset) {
      expectAlike(walker, this.memory, linear);
    }
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
   * The page that code at a linear address is on. It may be outside RAM. The address may be behind the lower half of
   * canonical ones: what is executed goes on there, and relative jumps lead there.
   * @throws CpuException #PF; #GP(0) where the address is not canonical
   */
  fetchPage(linear: number): CodePage {
    const number = Math.floor(linear / PAGE_SIZE);
    const known = this.#current.code.get(number);
    if (known !== undefined) return known;
    if (!isCanonicalLinear(linear)) throw generalProtection();
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
    if (!isCanonicalLinear(linear)) return undefined;
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
    return this.#walker.global && (this.p.cr4 & CR4.PGE) !== 0;
  }

  /** Whether a write that {@link check} permits goes to translated code. */
  isCode(linear: number, size: number): boolean {
    const last = linear + size - 1;
    return [linear, last].some((at) => {
      return this.codePages.has(this.translate(at, "write") >>> PAGE_SHIFT);
    });
  }

  /**
   * Drops the translations of all pages: CR0, CR4 and EFER changed. Where there are global pages it looks at
   * once where code is now, as a processor may (Intel SDM vol. 3A §4.10.2.3): a kernel that does this
   * often, as Xen for every address space that it changes to, would have all of its blocks found anew
   * each time. Kernels without may be of those that change entries and count on it that none is remembered.
   */
  flush(): void {
    const { paging, cr4 } = this.p;
    this.#knowsGlobal = paging && (this.#knowsGlobal || (cr4 & CR4.PGE) !== 0);
    this.#select();
    this.#forgetAll(this.#knowsGlobal);
    this.#describeWalks();
    this.onChange();
  }

  /** Lets generated code walk the paging structures, where nobody else has to hear of accesses. */
  #describeWalks(): void {
    const { p, memory } = this;
    const isWatched = this.watchpoints.any || this.fromOutside.any || this.alignmentChecked;
    const isHeard = isWatched || this.#written !== undefined;
    p.view.setInt32(WALK_FIELD.ENABLED, p.paging && p.longMode && !isHeard ? 1 : 0, true);
    p.view.setUint32(WALK_FIELD.FROM, memory.plainFrom, true);
    p.view.setUint32(WALK_FIELD.END, memory.size, true);
    p.view.setBigInt64(WALK_FIELD.RESERVED, this.#walker.reserved, true);
  }

  /** Drops the translations of all pages that are not global: CR3 is loaded. */
  loadRoot(): void {
    if ((this.p.cr4 & CR4.PGE) === 0) {
      this.flush();
      return;
    }
    this.losses++;
    this.#supervisor.forgetLocal();
    this.#user.forgetLocal();
    this.onChange();
  }

  /** Whether code's page is global, if it leads where it did. */
  #lookAgain({ number, address, span }: CodePage, user: boolean): boolean | undefined {
    const walker = this.#walker;
    const leads = walker.walk(number * PAGE_SIZE) === WALK.MAPPED && walker.page === address;
    if (!leads || walker.span !== span || !walker.accessed) return undefined;
    return walker.permits("execute", user) ? this.#isGlobal : undefined;
  }

  /** @param looks whether code stays that leads where it did */
  #forgetAll(looks = false): void {
    this.losses++;
    this.#supervisor.forget(looks ? (page) => this.#lookAgain(page, false) : undefined);
    this.#user.forget(looks ? (page) => this.#lookAgain(page, true) : undefined);
  }

  /** All of the processor's state has been set from outside: as {@link flush}, and PAE's entries. */
  stateReplaced(): void {
    const { paging, longMode, cr3, cr4 } = this.p;
    if (paging && !longMode && (cr4 & CR4.PAE) !== 0) copyPdptes(this.p, this.memory, cr3);
    this.flush();
  }

  /** INVLPG. @param linear canonical */
  invalidatePage(linear: number): void {
    const both = [this.#supervisor, this.#user];
    // Windows grow where the TLB misses: without them it has to go too.
    if (both.some((one) => one.isIdentityNear(linear))) {
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
    this.p.cpl = level;
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
    this.p.view.setInt32(STATE.TLB_AT, user ? TLB_OF_USER : 0, true);
    const { view } = this.p;
    const others = view.getInt32(STATE.CODE_KEY + 4, true) & ~USER_BIT;
    view.setInt32(STATE.CODE_KEY + 4, user ? others | USER_BIT : others, true);
  }

  /** Looks out for accesses to data: pages with watchpoints are always accessed through here. */
  watch(watchpoints: readonly Watchpoint[]): void {
    if (!this.watchpoints.any && watchpoints.length === 0) return;
    this.watchpoints.set(watchpoints);
    this.flush();
  }

  /** A watched port has been accessed. @param bit for {@link takeWatchpointHits} */
  watchpointHit(bit: number): void {
    this.watchpoints.hit(bit);
  }

  /** Bits of the watchpoints that have been accessed since the last call. */
  takeWatchpointHits(): number {
    return this.watchpoints.take();
  }

  /** As {@link watch}, for somebody outside of the guest. */
  watchFromOutside(watchpoints: readonly Watchpoint[]): void {
    this.fromOutside.set(watchpoints);
    this.flush();
  }

  /** As {@link takeWatchpointHits}. */
  takeOutsideHits(): number {
    return this.fromOutside.take();
  }

  /**
   * From now on accesses with user's rights have to be aligned, or need not: as long as they have, all accesses are
   * made through here.
   */
  checkAlignment(checked: boolean): void {
    if (checked === this.alignmentChecked) return;
    this.alignmentChecked = checked;
    this.flush();
  }

  /** Whether anybody looks out for accesses to some of these bytes, which are a page's or aligned. */
  watched(linear: number, length = PAGE_SIZE): boolean {
    if (this.alignmentChecked) return true;
    return this.watchpoints.within(linear, length) || this.fromOutside.within(linear, length);
  }

  /**
   * Notes from now on which pages are written: no write may go past this class then.
   * @returns numbers of guest physical pages, in a set that grows until the next call
   */
  trackWrites(): ReadonlySet<number> {
    this.#written = new Set();
    this.#describeWalks();
    this.#supervisor.protectAll();
    this.#user.protectAll();
    return this.#written;
  }

  /** PAE paging's four entries, from the table that CR3 (or what will be) points to. */
  loadPdptes(cr3: bigint): void {
    loadPdptes(this.p, this.memory, cr3);
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

  #remember(linear: number, page: number, user: boolean, write: boolean): void {
    if (this.watched(linear)) return;
    const number = page >>> PAGE_SHIFT;
    const tracked = this.#written !== undefined;
    const isPermitted =
      (!tracked || write) &&
      this.#walker.dirty &&
      this.#walker.permits("write", user) &&
      this.memory.allows("write", page, PAGE_SIZE);
    const writable = isPermitted && !this.codePages.has(number);
    if (writable) this.#written?.add(number);
    const { tlb, read, write: writeWindows } = this.#current;
    const writes = writable ? "WRITE_PAGE" : isPermitted ? "CODE_PAGE" : undefined;
    tlb.fill(linear, RAM_BASE + page, writes, this.#walker.span, this.#isGlobal);
    if (linear !== page) return;
    this.#addIdentity(page, writable, isPermitted && !tracked);
    read.general.missed(page);
    if (write && writable) writeWindows.general.missed(page);
  }

  /**
   * The last walk was that for a page that is its own physical one.
   * @param inChunk whether writes to the rest of a page of 2 MiB are permitted as well
   */
  #addIdentity(page: number, writable: boolean, inChunk: boolean): void {
    const { identity } = this.#current;
    if (identity.has(page, writable)) return;
    const chunk = page - (page % CHUNK);
    const isWhole =
      this.#walker.span >= CHUNK &&
      this.memory.allowsChunk("read", chunk) &&
      !this.watched(chunk, CHUNK);
    if (!isWhole) {
      identity.add(page, writable);
      return;
    }
    const mayWrite = inChunk && this.memory.allowsChunk("write", chunk);
    identity.addChunk(chunk, (number) =>
      number === page / PAGE_SIZE ? writable : mayWrite && !this.codePages.has(number),
    );
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
        this.memory.allowsChunk(access, address) &&
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
}
