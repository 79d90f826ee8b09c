import { TLB_OF_USER, WINDOW_AREAS, type WindowArea, windowOffset } from "../state.ts";
import { CodeTlb, type CodeTlbListener, type LookAgain } from "./code-tlb.ts";
import { IdentityPages } from "./identity-pages.ts";
import { SoftwareTlb } from "./tlb.ts";
import { IdentityWindow, type WindowRule } from "./window.ts";

/** The windows for one kind of access. */
export type Windows = Readonly<Record<WindowArea, IdentityWindow>>;

/**
 * All that is remembered of mappings with user's or with supervisor's rights: a system call and the
 * return from it go from one to the other, and need not find out anything anew.
 */
export class Translations {
  readonly tlb: SoftwareTlb;
  readonly code: CodeTlb;
  readonly identity: IdentityPages;
  readonly read: Windows;
  readonly write: Windows;
  readonly windows: readonly IdentityWindow[];

  constructor(
    view: DataView,
    user: boolean,
    rule: (access: "read" | "write") => WindowRule,
    listener: CodeTlbListener,
    onLoss: (access: "read" | "write") => void,
  ) {
    this.tlb = new SoftwareTlb(view.buffer as ArrayBuffer, user ? TLB_OF_USER : 0);
    this.code = new CodeTlb(listener);
    this.identity = new IdentityPages(view.buffer as ArrayBuffer, user);
    const windows = (access: "read" | "write"): Windows => {
      const made = WINDOW_AREAS.map((area) => {
        const window = new IdentityWindow(view, windowOffset(area, access), rule(access), () =>
          onLoss(access),
        );
        return [area, window] as const;
      });
      return Object.fromEntries(made) as Record<WindowArea, IdentityWindow>;
    };
    this.read = windows("read");
    this.write = windows("write");
    this.windows = [...Object.values(this.read), ...Object.values(this.write)];
  }

  /** Whether pages of windows, or others that are their own physical ones, may be part of one that an address is in. */
  isIdentityNear(linear: number): boolean {
    return this.identity.near(linear) || this.windows.some((window) => window.near(linear));
  }

  /** From now on generated code sees these windows, and no others. */
  show(): void {
    for (const window of this.windows) window.show();
  }

  hide(): void {
    for (const window of this.windows) window.hide();
  }

  /** Code was translated from a page. @param address guest physical, @param host its memory offset */
  protect(address: number, host: number): void {
    this.tlb.protect(host);
    this.identity.protect(address);
    for (const window of Object.values(this.write)) window.exclude(address);
  }

  /** The next write to each page will be noticed. */
  protectAll(): void {
    this.tlb.protectAll();
    this.identity.protectAll();
    for (const window of Object.values(this.write)) window.drop();
  }

  /** CR3 is loaded where global pages stay. */
  forgetLocal(): void {
    this.tlb.forgetLocal();
    this.code.forgetLocal();
    this.identity.clear();
    for (const window of this.windows) window.drop();
  }

  /** @param look see `CodeTlb.forgetAll` */
  forget(look?: LookAgain): void {
    this.tlb.flush();
    this.code.forgetAll(look);
    this.identity.clear();
    for (const window of this.windows) window.drop();
  }
}
