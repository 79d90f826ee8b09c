import { type Clock, CountedClock } from "../core/clock.ts";
import { nanos, SECOND } from "../core/units.ts";
import { SIGNAL } from "../debug/core-file.ts";
import { Profile } from "../debug/profile.ts";
import { HostClock } from "../host/clock.ts";
import { favourThisThread } from "../host/helper-threads.ts";
import { ImageFile } from "../host/image-file.ts";
import { type OutputFile, writeOutput } from "../host/output-files.ts";
import { checkPng } from "../host/png-file.ts";
import { TranslationFile } from "../host/translation-file.ts";
import { type Accelerator, createMachine, type Machine } from "../index.ts";
import { describeStatistics } from "../machine/describe-statistics.ts";
import type { Outcome } from "../machine/outcome.ts";
import { limitedReports } from "../machine/report.ts";
import type { UserNetwork } from "../net/user-network.ts";
import { checkOptions } from "./check-options.ts";
import { Closers } from "./closers.ts";
import { openConnections } from "./connections.ts";
import { checkCore, onQuit, writeCore } from "./core.ts";
import { reportCrash } from "./crash.ts";
import { openDebugging } from "./debugging.ts";
import { EXIT_STATUS, exitStatus, type StopReason } from "./exit-status.ts";
import { explain, printError, say } from "./messages.ts";
import { startPinging } from "./pinging.ts";
import { openPublished } from "./publish-option.ts";
import type { RunOptions } from "./run.ts";
import { writeScreen } from "./screen.ts";
import { insist, onSignals } from "./signals.ts";
import { stateHash } from "./state-hash.ts";
import { type GuestSymbols, openSymbols } from "./symbols.ts";
import { openTrace } from "./trace.ts";

/** 2026-01-01T00:00:00Z, in nanoseconds. */
const DETERMINISTIC_START = 1_767_225_600 * SECOND;

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
  checkOptions(path, options);
  // Before there are threads of our own.
  favourThisThread();
  if (options.core !== undefined) checkCore(options.core);
  if (options.screen !== undefined) checkPng(options.screen);
  const closers = new Closers();
  let stop = (_reason: StopReason): void => {};
  let dump = (): void => say("say where with --core FILE, and then start the guest");
  let picture = (): void => say("say where with --screen FILE, and then start the guest");
  let broken = false;
  // Also called while everything is being closed: files are written until then.
  const failed = (error: Error): void => {
    broken = true;
    explain(error);
    stop("refused");
  };
  let status: number;
  try {
    // Given up last: a signal must not end the process before the terminal is restored. Taken up
    // late: opening a pipe waits for its reader, and only the signal's own action ends that.
    let forgetSignals = (): void => {};
    closers.add(() => forgetSignals());
    const image = closers.opened(new ImageFile(path));
    const { initrd } = options;
    const initrdFile =
      initrd === undefined ? undefined : closers.opened(new ImageFile(initrd, "initrd"));
    const symbols = openSymbols(options.symbols, image, closers);
    const letDebuggersIn = await openDebugging(options, image, symbols, closers);
    const ports = await openPublished(options.publish, closers);
    const clock = options.deterministic ? new CountedClock(DETERMINISTIC_START) : new HostClock();
    let pinged: UserNetwork | undefined;
    let profileFile: OutputFile | undefined;
    const profile =
      options.perf === undefined ? undefined : new Profile(symbols.table(), () => clock.now());
    const trace = options.trace && openTrace(options.trace, clock, symbols, closers, failed);
    const machine = createMachine({
      image,
      clock,
      guestArguments,
      memoryMib: options.mem,
      bootMode: options.boot,
      initrd: initrdFile,
      accelerator: acceleratorFor(options),
      explain: say,
      display: options.screen !== undefined,
      reboot: options.reboot,
      timed: options.stats === true,
      decorations: trace?.decorations,
      jit: options.jit,
      translations: options.cache ? new TranslationFile(path, guestArguments) : undefined,
      crossCheck: options.crossCheck === true,
      profile:
        profile && ((elapsed, registers) => profile.passed(elapsed, registers, machine.memory)),
      connect: (manifest) => {
        const connections = openConnections(options, manifest, clock, ports, closers, {
          asked: (command) => {
            if (command === "core") dump();
            else if (command === "screen") picture();
            else stop(command === "quit" ? "success" : "interrupt");
          },
          gone: () => stop("brokenPipe"),
          failed,
        });
        pinged = connections.pinged;
        profileFile = connections.profile;
        return connections;
      },
      report: limitedReports(say),
    });
    closers.add(() => machine.cpu.close());
    stop = (reason) => machine.stop(reason);
    const { core } = options;
    if (core !== undefined) {
      dump = () => writeCore(core, machine, SIGNAL.QUIT);
      closers.add(onQuit(dump));
    }
    const { screen } = options;
    if (screen !== undefined) picture = () => writeScreen(screen, machine);
    forgetSignals = onSignals(stop);
    letDebuggersIn(machine, stop, trace?.log);
    startTimeout(options, clock, machine);
    const endPinging =
      pinged !== undefined && options.ping !== undefined
        ? startPinging(pinged, options.ping, clock, () => machine.control.standing, stop)
        : () => false;
    const outcome = await finish(machine, symbols, options);
    if (profile !== undefined && profileFile !== undefined) {
      writeOutput(profileFile, "profile", profile.collapsed());
    }
    if (screen !== undefined) picture();
    status = exitStatus(outcome, endPinging());
  } finally {
    closers.close();
  }
  return broken ? EXIT_STATUS.refused : status;
}

/** Where only the processor in TypeScript can do what is asked for, `auto` is that one. */
const acceleratorFor = ({ accel, trace, perf }: RunOptions): Accelerator =>
  accel === "auto" && (perf !== undefined || trace?.kinds.has("cpu")) ? "emu" : accel;

function startTimeout({ timeout }: RunOptions, clock: Clock, machine: Machine): void {
  if (timeout === undefined) return;
  const alarm = clock.alarm(() => {
    say(`the guest did not end within ${timeout} s`);
    insist("timeout");
    machine.stop("timeout" satisfies StopReason);
  });
  alarm.set(nanos(clock.now() + timeout * SECOND));
}

async function finish(
  machine: Machine,
  symbols: GuestSymbols,
  options: RunOptions,
): Promise<Outcome> {
  const outcome = await machine.run();
  reportCrash(outcome, machine, symbols.table, options.core);
  if (options.stats) {
    const nets = (options.net ?? []).filter(({ kind }) => kind !== "none");
    const names = {
      nets: nets.map(({ name }) => name),
      blocks: (options.block ?? []).map(({ name }) => name),
    };
    for (const line of describeStatistics(machine, names)) printError(`${line}\n`);
    if (options.deterministic) printError(`state       ${stateHash(machine)}\n`);
  }
  return outcome;
}
