import { HostError } from "../core/errors.ts";
import { requireDistinct } from "./distinct-files.ts";
import type { RunOptions } from "./run.ts";

/**
 * What the options' parsers cannot see: whether the options go together.
 * @throws HostError
 */
export function checkOptions(image: string, options: RunOptions): void {
  const { block = [], net = [], serial, pcap, initrd, symbols } = options;
  const { core, screen, trace, perf, accel } = options;
  for (const [option, specs] of [
    ["--net", net],
    ["--block", block],
  ] as const) {
    const name = repeated(specs.flatMap((spec) => spec.name ?? []));
    if (name !== undefined) throw new HostError(`two ${option} devices are called "${name}"`);
  }
  const tap = repeated(net.flatMap((spec) => (spec.kind === "tap" ? spec.interface : [])));
  if (tap !== undefined) throw new HostError(`two --net devices are on tap ${tap}`);
  if (perf !== undefined && accel === "kvm") {
    throw new HostError("--perf needs the processor in TypeScript", {
      remedy: "use it with --accel emu",
    });
  }
  if (options.crossCheck && !options.jit) {
    throw new HostError("--cross-check compares the JIT's code with what is interpreted", {
      remedy: "leave --no-jit out",
    });
  }
  if (options.deterministic) checkDeterministic(options);
  if (accel === "kvm" && trace?.kinds.has("cpu")) {
    throw new HostError("--trace cpu needs the processor in TypeScript", {
      remedy: "use it with --accel emu",
    });
  }
  if (options.freeze && options.gdb === undefined) {
    throw new HostError("with -S the guest waits for a debugger", { remedy: "add --gdb" });
  }
  requireDistinct([
    { use: "the image", path: image, written: false },
    ...(initrd === undefined ? [] : [{ use: "--initrd", path: initrd, written: false }]),
    ...(symbols === undefined ? [] : [{ use: "--symbols", path: symbols, written: false }]),
    ...block.map(({ path, readOnly }) => ({ use: "--block", path, written: !readOnly })),
    ...(serial.kind === "file" ? [{ use: "--serial", path: serial.path, written: true }] : []),
    ...(trace?.file === undefined ? [] : [{ use: "--trace", path: trace.file, written: true }]),
    ...(core === undefined ? [] : [{ use: "--core", path: core, written: true }]),
    ...(screen === undefined ? [] : [{ use: "--screen", path: screen, written: true }]),
    ...(perf === undefined ? [] : [{ use: "--perf", path: perf, written: true }]),
    ...(pcap === undefined ? [] : [{ use: "--pcap", path: pcap, written: true }]),
  ]);
}

/** What comes from outside at a time of its own makes every run another. */
function checkDeterministic({ accel, crossCheck, net = [], publish = [] }: RunOptions): void {
  const option = crossCheck ? "--cross-check" : "--deterministic";
  if (accel === "kvm") {
    throw new HostError(`${option} needs the processor in TypeScript`, {
      remedy: "use it with --accel emu",
    });
  }
  if (net.some(({ kind }) => kind === "tap")) {
    throw new HostError(`${option} does not go with a tap`, {
      remedy: "use --net user or --net none",
    });
  }
  if (net.some((spec) => spec.kind === "user" && spec.nat)) {
    throw new HostError(`${option} does not go with a way to the outside`, {
      remedy: "use --net user without nat",
    });
  }
  if (publish.length > 0) {
    throw new HostError(`${option} does not go with --publish`, {
      remedy: "leave one of them out",
    });
  }
}

/** The first text that stands twice in the list. */
const repeated = (texts: readonly string[]): string | undefined =>
  texts.find((text, i) => texts.indexOf(text) < i);
