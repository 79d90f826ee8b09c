import { HostError } from "../core/errors.ts";
import { writePng } from "../host/png-file.ts";
import type { Machine } from "../machine/machine.ts";
import { say } from "./messages.ts";

/** Writes what the guest's screen shows, and says so; or says why there is no picture. */
export function writeScreen(path: string, machine: Machine): void {
  const picture = machine.picture();
  if (picture === undefined) {
    say(`the guest's screen shows text: there is no picture for ${path}`);
    return;
  }
  try {
    writePng(path, picture);
    say(`the guest's screen, ${picture.width}x${picture.height}, is in ${path}`);
  } catch (error) {
    if (!(error instanceof HostError)) throw error;
    say(error.message);
  }
}
