/** Runs one guest for the page: a page ends it by ending the worker, and starts another one. */

import { Bug, GuestError, HostError } from "../../src/core/errors.ts";
import type { Guest, ToPage, ToWorker } from "../messages.ts";
import { GuestRun, type Interpreters } from "./guest-run.ts";

const send = (message: ToPage): void => self.postMessage(message);

/** A function that ends by calling itself: the newest that the JIT asks of a browser's WebAssembly. */
const TAIL_CALL = Uint8Array.of(
  ...[0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00],
  ...[0x01, 0x04, 0x01, 0x60, 0x00, 0x00], // one type, without parameters and results
  ...[0x03, 0x02, 0x01, 0x00], // one function of it
  ...[0x0a, 0x06, 0x01, 0x04, 0x00, 0x12, 0x00, 0x0b], // return_call 0
);

/** What the build has made, beside this file. */
async function loadInterpreters(): Promise<Interpreters> {
  const [plain, inline] = await Promise.all(
    ["interpreter.wasm", "interpreter-inline.wasm"].map(async (name) => {
      const response = await fetch(new URL(name, self.location.href));
      if (!response.ok) throw new HostError(`cannot load ${name} (${response.status})`);
      return new Uint8Array(await response.arrayBuffer());
    }),
  );
  return (isInline) => (isInline ? inline : plain) as Uint8Array<ArrayBuffer>;
}

let run: GuestRun | undefined;

async function start(guest: Guest): Promise<void> {
  try {
    if (!WebAssembly.validate(TAIL_CALL)) {
      throw new HostError("this browser's WebAssembly has no tail calls", {
        remedy: "use a newer one",
      });
    }
    run = new GuestRun(guest, await loadInterpreters(), send);
    await run.run();
  } catch (error) {
    send({ kind: "notice", line: explanation(error) });
    send({ kind: "ended", how: "did not run", statistics: [] });
  }
}

function explanation(error: unknown): string {
  if (error instanceof GuestError || error instanceof HostError) return error.message;
  const details = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return `${error instanceof Bug ? "assertion failed" : "internal error"}, please report it: ${details}`;
}

self.onmessage = ({ data }: MessageEvent<ToWorker>) => {
  switch (data.kind) {
    case "start":
      void start(data.guest);
      break;
    case "input":
      run?.type(data.bytes);
      break;
    case "mouse":
      run?.moveMouse(data.x, data.y, data.buttons);
      break;
    case "shown":
      run?.shown(data.count);
      break;
    case "painted":
      run?.painted();
      break;
    case "ping":
      run?.ping();
      break;
    case "stop":
      run?.stop();
      break;
  }
};
