import { foreignDisk } from "../boot/image.ts";
import type { ConsoleBackend } from "../core/backends.ts";
import type { Clock } from "../core/clock.ts";
import type { HostError } from "../core/errors.ts";
import { BlockFile } from "../host/block-file.ts";
import { type OutputFile, openOutputs } from "../host/output-files.ts";
import { PcapFile } from "../host/pcap-file.ts";
import type { Connections, Manifest } from "../index.ts";
import { Capture } from "../net/capture.ts";
import type { UserNetwork } from "../net/user-network.ts";
import type { Closers } from "./closers.ts";
import { applySettings } from "./device-settings.ts";
import { hostEntropy, madeUpEntropy } from "./entropy.ts";
import { say } from "./messages.ts";
import { openNetworks } from "./networks.ts";
import type { PublishedPorts } from "./publish-option.ts";
import type { RunOptions } from "./run.ts";
import { type ConsoleEvents, openConsole } from "./serial-option.ts";

export interface ConnectionEvents extends ConsoleEvents {
  /** A tap, the capture or the serial file broke down while in use. */
  readonly failed: (error: HostError) => void;
}

/** What the options say that the guest is connected to. */
export interface OpenConnections extends Connections {
  /** With `--ping`: the network to ping from. */
  readonly pinged: UserNetwork | undefined;
  /** With `--perf`: where the profile goes. */
  readonly profile: OutputFile | undefined;
}

/**
 * Opens everything, outputs last: they replace files, which must not happen for a run that is
 * refused.
 * @throws HostError
 */
export function openConnections(
  given: RunOptions,
  manifest: Manifest | undefined,
  clock: Clock,
  ports: PublishedPorts,
  closers: Closers,
  events: ConnectionEvents,
): OpenConnections {
  const options = applySettings(given, manifest);
  const blocks = (options.block ?? []).map(({ name, path, readOnly, blockSize }) => ({
    name,
    blockSize,
    backend: openDisk(path, readOnly, closers),
    id: path.split("/").at(-1) ?? path,
  }));
  const networks = closers.opened(
    openNetworks(options.net, {
      clock,
      published: ports.published,
      failed: events.failed,
    }),
  );
  ports.tell();
  const pinged = options.ping === undefined ? undefined : networks.pingable();
  const files = openOutputs({
    capture: options.pcap,
    profile: options.perf,
    "serial file": options.serial.kind === "file" ? options.serial.path : undefined,
  });
  const pcap = files.capture && closers.opened(new PcapFile(files.capture, events.failed));
  const capture = pcap && new Capture(clock, (bytes) => pcap.write(bytes));
  const nets = networks.devices.map((net) => ({
    ...net,
    backend: capture?.wrap(net.backend) ?? net.backend,
  }));
  const console = closers.opened(openConsole(options.serial, files["serial file"], events));
  return {
    blocks,
    nets,
    console: options.deterministic ? withoutInput(console) : console,
    virtioConsole: options.virtioConsole === true,
    entropy: options.virtioRng && (options.deterministic ? madeUpEntropy() : hostEntropy),
    pinged,
    profile: files.profile,
  };
}

function openDisk(path: string, readOnly: boolean, closers: Closers): BlockFile {
  const disk = closers.opened(new BlockFile(path, { readOnly }));
  const sector = new Uint8Array(512);
  disk.read(0, sector);
  const format = foreignDisk(sector);
  if (format !== undefined) say(`${path} is ${format}: the guest's disk is the file as it is`);
  return disk;
}

/** Keys come when they will: none goes to the guest. */
const withoutInput = (console: ConsoleBackend): ConsoleBackend => ({
  ...(console.terminal !== undefined && { terminal: console.terminal }),
  transmit: (byte) => console.transmit(byte),
  connect: () => console.connect(() => {}),
  flush: () => console.flush(),
  close: () => console.close(),
});
