import {
  closeSync,
  fstatSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import type { TranslationStore, Translations } from "../core/translations.ts";
import { cacheFolder, makeFolder } from "./cache-folder.ts";
import { replaceFile } from "./replace-file.ts";

/** Names the sources of the program; the build defines it. */
declare const BUILD: string | undefined;

/** Files that are kept, at most: those written last. */
const MAX_FILES = 32;
/** Of the image's name, as part of the file's. */
const NAME_LETTERS = 40;
const ONLY_OWNER = 0o600;
const OTHERS_MAY_WRITE = 0o022;

/**
 * Translations of a guest, as a file in the user's own cache. They are code: only a file of this user's
 * that nobody else may write is taken, and only by the build that wrote it. Whatever is wrong, there is
 * just nothing kept.
 *
 * A line that names the build and Node, a line with the lengths of text and bytes, the text, and the bytes.
 */
export class TranslationFile implements TranslationStore {
  readonly #path: string;
  /** Without, nothing is kept. */
  readonly #build: string | undefined;

  /**
   * @param image path of the guest's image: another image there makes other translations
   * @param guestArguments with others a guest may well do other things
   * @param build of the program; run from sources, which may change, it has no name
   */
  constructor(
    image: string,
    guestArguments: readonly string[],
    environment: NodeJS.ProcessEnv = process.env,
    build = typeof BUILD === "undefined" ? undefined : BUILD,
  ) {
    const path = pathOf(image);
    const name = basename(path)
      .replaceAll(/[^\w.-]/g, "_")
      .slice(0, NAME_LETTERS);
    this.#path = join(
      cacheFolder(environment),
      "translations",
      `${name}-${hash([path, ...guestArguments].join("\0"))}`,
    );
    // The bytes may be machine code of V8's.
    this.#build = build && `${build} ${process.version} ${process.arch}`;
  }

  read(): Translations | undefined {
    if (this.#build === undefined) return undefined;
    try {
      const bytes = readOwn(this.#path);
      if (bytes === undefined) return undefined;
      const build = lineAt(bytes, 0);
      const lengths = lineAt(bytes, build.length + 1);
      const [length = 0, others = 0] = lengths.split(" ").map(Number);
      const start = build.length + lengths.length + 2;
      const end = start + length;
      if (build !== this.#build || end + others !== bytes.length) return undefined;
      const text = bytes.toString("latin1", start, end);
      return { text, bytes: new Uint8Array(bytes.buffer, bytes.byteOffset + end, others) };
    } catch {
      return undefined;
    }
  }

  replace(translations: Translations | undefined): void {
    if (this.#build === undefined) return;
    try {
      if (translations === undefined) {
        rmSync(this.#path, { force: true });
        return;
      }
      const { text, bytes } = translations;
      const head = Buffer.from(`${this.#build}\n${text.length} ${bytes.length}\n${text}`, "latin1");
      const folder = dirname(this.#path);
      makeFolder(folder);
      replaceFile(this.#path, Buffer.concat([head, bytes]), ONLY_OWNER);
      removeOldest(folder);
    } catch {
      // A home that cannot be written: the next run translates anew.
    }
  }
}

/** The same however it is reached; what is no file in any folder has no other path. */
function pathOf(image: string): string {
  try {
    return realpathSync(image);
  } catch {
    return image;
  }
}

/** A file's bytes if it is this user's, and nobody else may write to it. */
function readOwn(path: string): Buffer<ArrayBuffer> | undefined {
  const fd = openSync(path, "r");
  try {
    const { uid, mode } = fstatSync(fd);
    const isOwn = uid === process.getuid?.() && (mode & OTHERS_MAY_WRITE) === 0;
    return isOwn ? readFileSync(fd) : undefined;
  } finally {
    closeSync(fd);
  }
}

function lineAt(bytes: Buffer, start: number): string {
  const end = bytes.indexOf("\n", start);
  if (end < 0) throw new Error("cut off");
  return bytes.toString("latin1", start, end);
}

function removeOldest(folder: string): void {
  const paths = readdirSync(folder).map((name) => join(folder, name));
  if (paths.length <= MAX_FILES) return;
  const byAge = paths
    .map((path) => ({ path, time: statSync(path).mtimeMs }))
    .sort((one, other) => one.time - other.time);
  for (const { path } of byAge.slice(0, paths.length - MAX_FILES)) rmSync(path, { force: true });
}

/** FNV-1a with 32 bits: Node's own hashes take milliseconds to load. */
function hash(text: string): string {
  let value = 0x811c_9dc5;
  for (const byte of Buffer.from(text)) value = Math.imul(value ^ byte, 0x0100_0193);
  return (value >>> 0).toString(16).padStart(8, "0");
}
