import { HostError } from "../../core/errors.ts";
import type { DeviceKind, Manifest } from "./manifest.ts";

/** A device that the user gives to the guest. */
export interface NamedDevice {
  /** As in the manifest; without one it is the next of its kind. */
  readonly name?: string | undefined;
}

const OPTION: Readonly<Record<DeviceKind, string>> = { net: "--net", block: "--block" };
const TYPE: Readonly<Record<DeviceKind, string>> = { net: "NET_BASIC", block: "BLOCK_BASIC" };
const EXAMPLE: Readonly<Record<DeviceKind, string>> = { net: "user", block: "FILE" };

/**
 * Finds the manifest's entry of each device.
 * @returns handles, in the order of `given`
 * @throws HostError when one is not in the manifest, or one of the manifest's is not given
 */
export function assignDevices(
  manifest: Manifest,
  kind: DeviceKind,
  given: readonly NamedDevice[],
): number[] {
  const left = manifest.devices.filter((device) => device.kind === kind);
  const take = (wanted: (name: string) => boolean): number | undefined => {
    const index = left.findIndex(({ name }) => wanted(name));
    return index < 0 ? undefined : left.splice(index, 1)[0]?.handle;
  };
  const names = new Set(given.map(({ name }) => name));
  const handles = given.map(({ name }) => {
    const handle = take(name === undefined ? (one) => !names.has(one) : (one) => one === name);
    if (handle !== undefined) return handle;
    const what = name === undefined ? `another ${kind} device` : `'${name}'`;
    throw new HostError(`resource not declared in manifest: ${what}`, {
      remedy: `it declares ${describeManifest(manifest)}`,
    });
  });
  const [missing] = left;
  if (missing === undefined) return handles;
  throw new HostError(`device '${missing.name}' of type ${TYPE[kind]} declared but not attached`, {
    remedy: `add ${OPTION[kind]} ${missing.name}=${EXAMPLE[kind]}`,
  });
}

/** For messages: `net 'service0', block 'storage'`. */
export function describeManifest({ devices }: Manifest): string {
  if (devices.length === 0) return "no devices";
  return devices.map(({ kind, name }) => `${kind} '${name}'`).join(", ");
}

/**
 * Devices in the order of the manifest, if it has all their names; as they are otherwise: on a PC
 * names are for people.
 */
export function inManifestOrder<Device extends NamedDevice>(
  manifest: Manifest | undefined,
  kind: DeviceKind,
  given: readonly Device[],
): readonly Device[] {
  const names = manifest?.devices.filter((one) => one.kind === kind).map(({ name }) => name) ?? [];
  const place = ({ name }: Device): number => (name === undefined ? -1 : names.indexOf(name));
  if (given.some((device) => place(device) < 0)) return given;
  return [...given].sort((a, b) => place(a) - place(b));
}
