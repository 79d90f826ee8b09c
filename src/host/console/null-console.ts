import type { ConsoleBackend } from "../../core/backends.ts";

/** Nobody listens and nobody types. */
export class NullConsole implements ConsoleBackend {
  transmit(): void {}
  connect(): void {}
  flush(): undefined {}
  close(): void {}
}
