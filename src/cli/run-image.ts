import { HostError } from "../core/errors.ts";
import { nanos, SECOND } from "../core/units.ts";
import { BlockFile } from "../host/block-file.ts";
import { HostClock } from "../host/clock.ts";
import { ImageFile } from "../host/image-file.ts";
import { createMachine, type Machine } from "../index.ts";
import { MAX_VIRTIO_DEVICES } from "../machine/board.ts";
import { describeOutcome } from "../machine/report.ts";
import { Pinger } from "../net/ping.ts";
import { exitStatus, type StopReason } from "./exit-status.ts";
import { explain, say } from "./messages.ts";
import { openNetworks } from "./networks.ts";
import type { RunOptions } from "./run.ts";
import { openConsole } from "./serial-option.ts";
import { insist, onSignals } from "./signals.ts";
import { describeStatistics } from "./statistics.ts";

const MAX_REPORTS = 20;

/**
 * Runs an image to its end, with everything the options ask for around it.
 * @returns the process's exit status
 * @throws GuestError, HostError when it cannot even start; nothing is left behind then
 */
export async function runImage(
  path: string,
  options: RunOptions,
  guestArguments: readonly string[],
): Promise<number> {
  checkOptions(options);
  const closers: (() => void)[] = [];
  /** Closed in the reverse order, whatever happens. */
  const opened = <Resource extends { close(): void }>(resource: Resource): Resource => {
    closers.push(() => resource.close());
    return resource;
  };
  let stop = (_reason: StopReason): void => {};
  const failed = (error: Error): void => {
    explain(error);
    stop("refused");
  };
  try {
    // Given up last: a signal must not end the process before the terminal is restored. Taken up
    // late: opening a pipe waits for its reader, and only the signal's own action ends that.
    let forgetSignals = (): void => {};
    closers.push(() => forgetSignals());
    const image = opened(new ImageFile(path));
    const clock = new HostClock();
    const networks = opened(openNetworks(options, clock, failed));
    const machine = createMachine({
      image,
      clock,
      guestArguments,
      memoryMib: options.mem,
      timed: options.stats === true,
      nets: networks.devices,
      blocks: (options.block ?? []).map(({ path: disk, readOnly }) => ({
        backend: opened(new BlockFile(disk, { readOnly })),
        id: disk.split("/").at(-1) ?? disk,
      })),
      console: opened(
        openConsole(options.serial, {
          asked: (command) => stop(command === "quit" ? "success" : "interrupt"),
          gone: () => stop("brokenPipe"),
          failed,
        }),
      ),
      report: limited(MAX_REPORTS, (error) => say(error.message)),
    });
    closers.push(() => machine.cpu.close());
    stop = (reason) => machine.stop(reason);
    forgetSignals = onSignals(stop);
    startTimeout(options, clock, machine);
    if (options.ping !== undefined) {
      const pinger = new Pinger({
        network: networks.pingable(),
        clock,
        count: options.ping,
        print: (line) => process.stdout.write(`${line}\n`),
        done: ({ sent, received }) => stop(received < sent ? "pingLost" : "success"),
      });
      pinger.start();
      // However the run ends, the statistics so far are printed.
      closers.push(() => pinger.stop());
    }
    return await finish(machine, options);
  } finally {
    for (const close of closers.reverse()) close();
  }
}

function checkOptions({ accel, block = [], net = [] }: RunOptions): void {
  if (accel === "emu") {
    throw new HostError("the processor written in TypeScript is not in this version yet", {
      remedy: "use --accel kvm",
    });
  }
  for (const [option, specs] of [
    ["--net", net],
    ["--block", block],
  ] as const) {
    const names = specs.flatMap(({ name }) => name ?? []);
    const twice = names.find((name, i) => names.indexOf(name) < i);
    if (twice !== undefined) throw new HostError(`two ${option} devices are called "${twice}"`);
  }
  if (net.length + block.length > MAX_VIRTIO_DEVICES) {
    throw new HostError(
      `this machine has room for ${MAX_VIRTIO_DEVICES} network devices and disks`,
    );
  }
}

/** A guest that breaks a device's rules again and again does not flood the terminal. */
function limited<Argument>(
  limit: number,
  report: (argument: Argument) => void,
): (argument: Argument) => void {
  let left = limit;
  return (argument) => {
    if (left > 0) report(argument);
    if (left === 1) say("more reports of this kind are not shown");
    left = Math.max(0, left - 1);
  };
}

function startTimeout({ timeout }: RunOptions, clock: HostClock, machine: Machine): void {
  if (timeout === undefined) return;
  const alarm = clock.alarm(() => {
    say(`the guest did not end within ${timeout} s`);
    insist("timeout");
    machine.stop("timeout" satisfies StopReason);
  });
  alarm.set(nanos(clock.now() + timeout * SECOND));
}

async function finish(machine: Machine, options: RunOptions): Promise<number> {
  const outcome = await machine.run();
  const description = describeOutcome(outcome);
  if (description !== undefined) say(description);
  if (options.stats) {
    for (const line of describeStatistics(machine)) process.stderr.write(`${line}\n`);
  }
  return exitStatus(outcome);
}
