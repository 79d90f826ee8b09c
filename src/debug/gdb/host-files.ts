/**
 * Reading files of the host through the debugger's connection (GDB manual, appendix E.8): the one
 * that is offered, and no other.
 */
import { parseLength, parseNumber, textToHex } from "./hex.ts";
import { latin1, PACKET_SIZE } from "./packet.ts";
import type { Handler, Handlers } from "./session.ts";
import type { OfferedFile } from "./target.ts";

/** Error numbers of the protocol. */
const ENOENT = 2;
const EBADF = 9;
const EACCES = 13;
const EINVAL = 22;
const EMFILE = 24;
const ENOSYS = 88;

const O_ACCMODE = 3;
const MAX_OPEN = 16;
/** A regular file that all may read. */
const MODE = 0o100_444;

const failure = (errno: number): string => `F-1,${errno.toString(16)}`;
const success = (result: number): string => `F${result.toString(16)}`;
const withData = (data: string): string => `F${data.length.toString(16)};${data}`;

/** The files that a session has open. */
export class HostFiles {
  readonly #offered: OfferedFile | undefined;
  readonly #open = new Map<number, OfferedFile>();
  #next = 3;

  constructor(offered: OfferedFile | undefined) {
    this.#offered = offered;
  }

  /** @param path in hexadecimal */
  open(path: string, flags: number): string {
    const file = this.#offered;
    if (file === undefined || path.toLowerCase() !== textToHex(file.path)) return failure(ENOENT);
    if ((flags & O_ACCMODE) !== 0) return failure(EACCES);
    if (this.#open.size >= MAX_OPEN) return failure(EMFILE);
    const handle = this.#next++;
    this.#open.set(handle, file);
    return success(handle);
  }

  close(handle: number): string {
    return this.#open.delete(handle) ? success(0) : failure(EBADF);
  }

  pread(handle: number, count: number, offset: number): string {
    const file = this.#open.get(handle);
    if (file === undefined) return failure(EBADF);
    const left = Math.max(0, file.bytes.size - offset);
    // Escapes may double the bytes, and the count comes before them.
    const length = Math.min(count, left, PACKET_SIZE / 2 - 16);
    return withData(latin1(length === 0 ? [] : file.bytes.read(offset, length)));
  }

  /** `struct stat` in the protocol's layout (GDB manual, appendix E.8.5), big-endian. */
  fstat(handle: number): string {
    const file = this.#open.get(handle);
    if (file === undefined) return failure(EBADF);
    const view = new DataView(new ArrayBuffer(64));
    view.setUint32(8, MODE);
    view.setUint32(12, 1);
    view.setBigUint64(28, BigInt(file.bytes.size));
    view.setBigUint64(36, 512n);
    view.setBigUint64(44, BigInt(Math.ceil(file.bytes.size / 512)));
    return withData(latin1(new Uint8Array(view.buffer)));
  }
}

type Operation = (files: HostFiles, fields: readonly string[]) => string;

const OPERATIONS: Readonly<Record<string, Operation>> = {
  /** There is one file system, whatever the process. */
  setfs: () => success(0),
  open: (files, [path = "", flags]) => {
    const mode = parseLength(flags);
    return mode === undefined ? failure(EINVAL) : files.open(path, mode);
  },
  close: (files, [handle]) => {
    const number = parseLength(handle);
    return number === undefined ? failure(EINVAL) : files.close(number);
  },
  pread: (files, [handle, count, offset]) => {
    const [number, length, at] = [parseLength(handle), parseLength(count), parseNumber(offset)];
    if (number === undefined || length === undefined || at === undefined) return failure(EINVAL);
    return files.pread(number, length, Number(at));
  },
  fstat: (files, [handle]) => {
    const number = parseLength(handle);
    return number === undefined ? failure(EINVAL) : files.fstat(number);
  },
};

/** `vFile:OPERATION:FIELD,FIELD…` */
const vFile: Handler = ({ files }, rest) => {
  const [, name = "", fields = ""] = rest.split(":");
  const operation = Object.hasOwn(OPERATIONS, name) ? OPERATIONS[name] : undefined;
  return operation?.(files, fields.split(",")) ?? failure(ENOSYS);
};

export const HOST_FILE_HANDLERS: Handlers = { vFile };
