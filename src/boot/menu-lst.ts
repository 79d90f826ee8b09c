/** GRUB legacy's `menu.lst` (GNU GRUB 0.97 manual, chapters 5 and 13). */

import { type Menu, type MenuEntry, type MenuFile, withoutDevice } from "./menu.ts";

/** Commands that boot something we do not: the entry is refused when it is chosen. */
const UNSUPPORTED = ["chainloader", "configfile", "initrd", "pxeclient"];

interface OpenEntry {
  title: string;
  kernel: MenuFile | undefined;
  modules: MenuFile[];
  readonly version: 1;
  unsupported: string | undefined;
}

/**
 * Every text is a menu: commands that do not choose or load anything are passed over, and commands
 * before the first title make an entry of their own.
 */
export function parseMenuLst(text: string): Menu {
  const entries: OpenEntry[] = [];
  let wanted = 0;
  for (const line of text.split(/\r\n|[\r\n]/)) {
    const { command, rest } = splitCommand(line);
    if (command === "" || command.startsWith("#")) continue;
    if (command === "default") wanted = Number.parseInt(rest, 10);
    else if (command === "title") entries.push(openEntry(rest));
    else applyCommand(entries, command, rest);
  }
  return { entries: entries satisfies MenuEntry[], defaultIndex: wanted in entries ? wanted : 0 };
}

function applyCommand(entries: OpenEntry[], command: string, rest: string): void {
  const current = (): OpenEntry => {
    const last = entries.at(-1);
    if (last !== undefined) return last;
    const untitled = openEntry("");
    entries.push(untitled);
    return untitled;
  };
  switch (command) {
    case "kernel":
      current().kernel = parseFile(withoutOptions(rest));
      break;
    case "module":
    case "modulenounzip":
      current().modules.push(parseFile(rest));
      break;
    default:
      if (UNSUPPORTED.includes(command)) current().unsupported ??= command;
  }
}

const openEntry = (title: string): OpenEntry => ({
  title,
  kernel: undefined,
  modules: [],
  // GRUB legacy knows no other.
  version: 1,
  unsupported: undefined,
});

/** A command ends at a blank or at `=`: `default=0` and `default 0` are the same. */
function splitCommand(line: string): { command: string; rest: string } {
  const trimmed = line.trim();
  const end = trimmed.search(/[\s=]/);
  if (end < 0) return { command: trimmed, rest: "" };
  return { command: trimmed.slice(0, end), rest: trimmed.slice(end + 1).trim() };
}

/** `kernel --type=multiboot --no-mem-option FILE …` */
function withoutOptions(text: string): string {
  let rest = text;
  while (rest.startsWith("--")) {
    const end = rest.search(/\s/);
    rest = end < 0 ? "" : rest.slice(end).trim();
  }
  return rest;
}

/**
 * The file name ends at a blank, unless it is in quotes or the blank follows a backslash. The
 * arguments are passed on as they stand: GRUB legacy has no quoting, the kernel reads its own.
 */
function parseFile(text: string): MenuFile {
  const quote = text[0] === '"' || text[0] === "'" ? text[0] : undefined;
  let name = "";
  let position = quote === undefined ? 0 : 1;
  for (; position < text.length; position++) {
    const character = text.charAt(position);
    if (quote === undefined ? /\s/.test(character) : character === quote) break;
    if (character === "\\" && position + 1 < text.length) position++;
    name += text.charAt(position);
  }
  return { path: withoutDevice(name), arguments: text.slice(position + 1).trim() };
}
