import type { ConsoleBackend } from "../core/backends.ts";
import type { HostError } from "../core/errors.ts";
import type { EscapeCommand } from "../host/console/escape.ts";
import { FileConsole } from "../host/console/file-console.ts";
import { NullConsole } from "../host/console/null-console.ts";
import { StdioConsole } from "../host/console/stdio-console.ts";
import type { OutputFile } from "../host/output-files.ts";
import { printError } from "./messages.ts";
import { standardOutput } from "./standard-output.ts";

/** What `--serial` says. */
export type SerialSpec =
  | { readonly kind: "stdio" }
  | { readonly kind: "null" }
  | { readonly kind: "file"; readonly path: string };

/** @throws Error with a sentence for the user */
export function parseSerial(text: string): SerialSpec {
  if (text === "stdio" || text === "null") return { kind: text };
  const path = /^file:(.+)$/s.exec(text)?.[1];
  if (path !== undefined) return { kind: "file", path };
  throw new Error("use stdio, file:PATH or null");
}

export interface ConsoleEvents {
  /** The user typed the key that ends the run, or C-c, or that for a core or a picture. */
  readonly asked: (command: Exclude<EscapeCommand, "help">) => void;
  /** Nobody reads standard output any more. */
  readonly gone: () => void;
  readonly failed: (error: HostError) => void;
}

/** @param file where `file:` leads to */
export function openConsole(
  spec: SerialSpec,
  file: OutputFile | undefined,
  events: ConsoleEvents,
): ConsoleBackend {
  if (file !== undefined) return new FileConsole(file, events.failed);
  if (spec.kind === "null") return new NullConsole();
  return new StdioConsole({
    output: standardOutput,
    asked: events.asked,
    help: printError,
    gone: events.gone,
  });
}
