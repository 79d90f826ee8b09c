import { HostError } from "../core/errors.ts";
import type { Manifest } from "../index.ts";
import { parseGuestMac } from "./device-options.ts";
import type { RunOptions } from "./run.ts";

/**
 * The devices that a run is to have, complete: with what was said of one of them elsewhere, and
 * with the networks that it gets when nothing was said.
 * @param manifest of the image
 * @throws HostError when a setting is for a device that there is not
 */
export function applySettings(options: RunOptions, manifest: Manifest | undefined): RunOptions {
  const net = options.net ?? defaultNetworks(manifest);
  const { block = [], netMac = [], blockSectorSize = [] } = options;
  for (const [option, settings, devices] of [
    ["--net-mac", netMac, net],
    ["--block-sector-size", blockSectorSize, block],
  ] as const) {
    const stray = settings.find(({ name }) => devices.every((device) => device.name !== name));
    if (stray === undefined) continue;
    throw new HostError(`${option}: no device is called '${stray.name}'`);
  }
  return {
    ...options,
    net: net.map((spec) => {
      const setting = netMac.findLast(({ name }) => name === spec.name);
      return setting === undefined ? spec : { ...spec, mac: guestMac(setting.mac) };
    }),
    block: block.map((spec) => {
      const setting = blockSectorSize.findLast(({ name }) => name === spec.name);
      return setting === undefined ? spec : { ...spec, blockSize: setting.blockSize };
    }),
  };
}

/** A network for each device of the manifest, or one for a guest that has no manifest. */
const defaultNetworks = (manifest: Manifest | undefined): NonNullable<RunOptions["net"]> =>
  manifest === undefined
    ? [{ kind: "user" }]
    : manifest.devices
        .filter(({ kind }) => kind === "net")
        .map(({ name }) => ({ kind: "user", name }));

function guestMac(text: string): Uint8Array {
  try {
    return parseGuestMac(text);
  } catch (error) {
    throw new HostError(`--net-mac: ${(error as Error).message}`, { cause: error });
  }
}
