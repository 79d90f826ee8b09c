import type { Stop } from "../../machine/run-control.ts";
import type { BreakpointTable } from "./breakpoint-table.ts";
import type { HostFiles } from "./host-files.ts";
import type { DebugTarget } from "./target.ts";

/** What the handlers of packets share. */
export interface Session {
  readonly target: DebugTarget;
  readonly breakpoints: BreakpointTable;
  readonly files: HostFiles;
  /** Why the guest stands still. */
  readonly stop: Stop;
  /** Whether the debugger asked for that by Ctrl-C. */
  readonly interrupted: boolean;
  /** What the debugger said that it understands of stop replies. */
  tellsBreakpoints: boolean;
  /** Replies are no longer acknowledged, nor are packets. */
  noAcknowledgements: boolean;
  /** The guest goes on; the reply comes when it stops. */
  resume(how: { step: boolean; range?: { start: bigint; end: bigint } }): void;
  /** The guest goes on without a debugger. */
  detach(): void;
}

/**
 * @param rest of the packet, behind its name
 * @returns the reply, one character a byte, where there is one at once; "" says that the packet is
 *   not supported
 */
export type Handler = (session: Session, rest: string) => string | undefined;
export type Handlers = Readonly<Record<string, Handler>>;

export const OK = "OK";
/** The number says nothing: debuggers show it. EINVAL. */
export const ERROR = "E16";
/** EFAULT: no memory there. */
export const NO_MEMORY = "E0e";
export const UNSUPPORTED = "";
