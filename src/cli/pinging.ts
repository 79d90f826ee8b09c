import type { Clock } from "../core/clock.ts";
import { Pinger } from "../net/ping.ts";
import type { UserNetwork } from "../net/user-network.ts";
import type { StopReason } from "./exit-status.ts";
import { standardOutput } from "./standard-output.ts";

/**
 * Does what `--ping` asks for.
 * @param held whether a debugger keeps the guest from answering
 * @param stop called when all is over
 * @returns what ends it early, with the statistics so far, and says whether replies are missing
 */
export function startPinging(
  network: UserNetwork,
  count: number,
  clock: Clock,
  held: () => boolean,
  stop: (reason: StopReason) => void,
): () => boolean {
  let lost = false;
  const pinger = new Pinger({
    network,
    clock,
    count,
    held,
    print: (line) => standardOutput.write(`${line}\n`),
    done: ({ received }) => {
      lost = received < count;
      stop(lost ? "pingLost" : "success");
    },
  });
  pinger.start();
  return () => {
    pinger.stop();
    return lost;
  };
}
