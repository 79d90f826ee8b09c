import type { DebugAddress } from "../host/debug-listener.ts";

export const DEFAULT_GDB_PORT = 1234;
const MAX_PORT = 65_535;

/** What `--gdb` says. @throws Error with a sentence for the user */
export function parseDebugAddress(text: string): DebugAddress {
  const path = /^unix:(.+)$/s.exec(text)?.[1];
  if (path !== undefined) return { kind: "unix", path };
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port >= 1 && port <= MAX_PORT) return { kind: "tcp", port };
  throw new Error(
    `use a port from 1 to ${MAX_PORT} or unix:PATH; --gdb alone comes after the image`,
  );
}

/** What a user types into gdb. */
export const connectCommand = (address: DebugAddress): string =>
  `target remote ${address.kind === "tcp" ? `:${address.port}` : address.path}`;
