/**
 * The three kinds of error, never mixed:
 *
 * - {@link GuestError}: the guest, or the image it comes in, is at fault. The host is unharmed.
 * - {@link HostError}: the host refused something. The message names the cause and the remedy.
 * - {@link Bug}: this program is wrong.
 *
 * Messages are one line and complete: a user reads them without a stack trace.
 */

export type GuestErrorCode =
  /** The image is malformed, unsupported, or does not fit into guest memory. */
  | "image"
  /** A guest physical address outside RAM was handed to a device. */
  | "memory"
  /** A driver broke the rules of its device (virtqueue layout, descriptor chains). */
  | "driver"
  /** The virtual processor cannot go on (triple fault, refused instruction, bad entry state). */
  | "cpu";

export class GuestError extends Error {
  override readonly name = "GuestError";
  readonly code: GuestErrorCode;

  constructor(code: GuestErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface HostErrorDetails {
  /** The system's own name of the error: `EACCES`, `ENOENT`, … */
  readonly errno?: string | undefined;
  /** What the user can do about it, as an imperative clause. */
  readonly remedy?: string | undefined;
  readonly cause?: unknown;
}

export class HostError extends Error {
  override readonly name = "HostError";
  readonly errno: string | undefined;
  readonly remedy: string | undefined;

  /** @param what what was refused, for example `cannot open /dev/kvm` */
  constructor(what: string, details: HostErrorDetails = {}) {
    const reason = details.errno === undefined ? "" : ` (${details.errno})`;
    const remedy = details.remedy === undefined ? "" : `: ${details.remedy}`;
    super(`${what}${reason}${remedy}`, { cause: details.cause });
    this.errno = details.errno;
    this.remedy = details.remedy;
  }
}

export class Bug extends Error {
  override readonly name = "Bug";
}

/** @throws {@link Bug} when `condition` does not hold. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Bug(what);
}

/** For the `default` of an exhaustive switch. */
export function unreachable(value: never): never {
  throw new Bug(`unreachable: ${String(value)}`);
}
