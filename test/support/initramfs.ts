/** The archive that Linux unpacks into its first root file system (cpio, "new ASCII format"). */

const DIRECTORY = 0o040755;
const PROGRAM = 0o100755;
const SYMLINK = 0o120777;
const ALIGNMENT = 4;

export interface InitramfsEntry {
  readonly path: string;
  /** Undefined for a directory. */
  readonly content?: Uint8Array | undefined;
  /** Where a symbolic link leads to. */
  readonly link?: string;
}

const encoder = new TextEncoder();

/** Executable files, symbolic links and directories; a directory comes before what is in it. */
export function initramfs(entries: readonly InitramfsEntry[]): Uint8Array {
  const end = { path: "TRAILER!!!" };
  return Buffer.concat([...entries, end].flatMap((entry, index) => record(entry, index + 1)));
}

function record({ path, content, link }: InitramfsEntry, inode: number): Uint8Array[] {
  const body = link !== undefined ? encoder.encode(link) : (content ?? new Uint8Array());
  const mode = link !== undefined ? SYMLINK : content !== undefined ? PROGRAM : DIRECTORY;
  const name = encoder.encode(`${path}\0`);
  // Links, modification time, size; the device's and the special file's numbers; name, checksum.
  const fields = [inode, mode, 0, 0, 1, 0, body.length, 0, 0, 0, 0, name.length, 0];
  const digits = fields.map((field) => field.toString(16).padStart(8, "0")).join("");
  const head = Buffer.concat([encoder.encode(`070701${digits}`), name]);
  return [padded(head), padded(body)];
}

function padded(bytes: Uint8Array): Uint8Array {
  const all = new Uint8Array(Math.ceil(bytes.length / ALIGNMENT) * ALIGNMENT);
  all.set(bytes);
  return all;
}
