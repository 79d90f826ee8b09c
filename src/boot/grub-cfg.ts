/**
 * The part of GRUB 2's `grub.cfg` that menus of unikernels use (GNU GRUB 2.06 manual, chapters 6
 * and 16): `set`, `menuentry`, `submenu`, `multiboot`, `multiboot2`, `module`, `module2`.
 * Conditions are not evaluated and functions not called: what is between `if` and `fi`, or in a
 * function or loop, is passed over.
 */

import { tokenise, type Word } from "./grub-script.ts";
import { type Menu, type MenuFile, withoutDevice } from "./menu.ts";

const UNSUPPORTED = ["linux", "linux16", "linuxefi", "chainloader", "configfile"];

/** Which version of the protocol a command is of. */
const KERNEL_COMMANDS: Readonly<Record<string, 1 | 2>> = { multiboot: 1, multiboot2: 2 };
const MODULE_COMMANDS = ["module", "module2"];

/** Options of `menuentry` that take the next word. */
const OPTIONS_WITH_VALUE = ["--class", "--users", "--hotkey", "--id"];

const CONDITION_STARTS = ["if", "for", "while", "until"];
const CONDITION_ENDS = ["fi", "done"];

type Block = "entry" | "submenu" | "skipped";

interface OpenEntry {
  readonly title: string;
  readonly id: string | undefined;
  kernel: MenuFile | undefined;
  modules: MenuFile[];
  version: 1 | 2 | undefined;
  unsupported: string | undefined;
}

/** Every text is a menu: commands that we do not know are passed over. */
export function parseGrubCfg(text: string): Menu {
  const parser = new GrubCfgParser();
  for (const command of tokenise(text)) parser.run(command);
  return parser.menu();
}

class GrubCfgParser {
  readonly #entries: OpenEntry[] = [];
  readonly #variables = new Map<string, string>();
  readonly #blocks: Block[] = [];
  #conditions = 0;
  /** The entry being read; commands outside of all entries make one of their own. */
  #current: OpenEntry | undefined;

  run(words: readonly Word[]): void {
    const [first, ...rest] = words.map((word) => this.#expand(word));
    const opens = isBare(words.at(-1), "{");
    if (first === undefined) return;
    if (isBare(words[0], "}")) this.#close();
    else if (CONDITION_STARTS.includes(first)) this.#conditions++;
    else if (CONDITION_ENDS.includes(first)) this.#conditions = Math.max(0, this.#conditions - 1);
    else if (this.#conditions > 0 || this.#blocks.includes("skipped")) {
      if (opens) this.#blocks.push("skipped");
    } else if (opens) this.#open(first, rest.slice(0, -1));
    else this.#command(first, rest);
  }

  menu(): Menu {
    const wanted = this.#variables.get("default") ?? "0";
    const byName = this.#entries.findIndex(({ title, id }) => title === wanted || id === wanted);
    const index = byName >= 0 ? byName : Number.parseInt(wanted, 10);
    return { entries: this.#entries, defaultIndex: index in this.#entries ? index : 0 };
  }

  #open(command: string, words: readonly string[]): void {
    if (command === "menuentry") {
      this.#blocks.push("entry");
      this.#current = this.#addEntry(titleOf(words), optionValue(words, "--id"));
    } else {
      this.#blocks.push(command === "submenu" ? "submenu" : "skipped");
    }
  }

  #close(): void {
    if (this.#blocks.pop() === "entry") this.#current = undefined;
  }

  #command(command: string, words: readonly string[]): void {
    if (command === "set") this.#assign(words[0] ?? "");
    else if (KERNEL_COMMANDS[command] !== undefined) {
      const entry = this.#entry();
      entry.kernel = toFile(words);
      entry.version = KERNEL_COMMANDS[command];
    } else if (MODULE_COMMANDS.includes(command)) this.#entry().modules.push(toFile(words));
    else if (UNSUPPORTED.includes(command)) this.#entry().unsupported ??= command;
  }

  #entry(): OpenEntry {
    this.#current ??= this.#addEntry("", undefined);
    return this.#current;
  }

  #addEntry(title: string, id: string | undefined): OpenEntry {
    const entry = {
      title,
      id,
      kernel: undefined,
      modules: [],
      version: undefined,
      unsupported: undefined,
    };
    this.#entries.push(entry);
    return entry;
  }

  #assign(assignment: string): void {
    const equals = assignment.indexOf("=");
    if (equals > 0) this.#variables.set(assignment.slice(0, equals), assignment.slice(equals + 1));
  }

  #expand(word: Word): string {
    return word
      .map(({ text, variable }) => (variable ? (this.#variables.get(text) ?? "") : text))
      .join("")
      .slice(0, MAX_WORD);
  }
}

/** Variables that hold variables can double a word with every line. */
const MAX_WORD = 512;

const isBare = (word: Word | undefined, text: string): boolean =>
  word?.length === 1 && word[0]?.text === text && word[0].bare;

function titleOf(words: readonly string[]): string {
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    if (!word.startsWith("--")) return word;
    if (OPTIONS_WITH_VALUE.includes(word)) index++;
  }
  return "";
}

function optionValue(words: readonly string[], option: string): string | undefined {
  const index = words.indexOf(option);
  if (index >= 0) return words[index + 1];
  return words.find((word) => word.startsWith(`${option}=`))?.slice(option.length + 1);
}

function toFile(words: readonly string[]): MenuFile {
  const operands = [...words];
  while (operands[0]?.startsWith("--")) operands.shift();
  const [path = "", ...args] = operands;
  return { path: withoutDevice(path), arguments: args.map(quoted).join(" ") };
}

/** GRUB 2 puts a word with blanks back into quotes when it makes the command line. */
function quoted(word: string): string {
  const escaped = word.replace(/[\\'"]/g, "\\$&");
  return /\s/.test(word) ? `"${escaped}"` : escaped;
}
