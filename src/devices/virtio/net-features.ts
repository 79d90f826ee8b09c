import { OFFLOAD } from "../../core/offload.ts";

/** Feature bits (virtio 1.2 §5.1.3). */
export const VIRTIO_NET_F = {
  CSUM: 1 << 0,
  GUEST_CSUM: 1 << 1,
  MTU: 1 << 3,
  MAC: 1 << 5,
  GUEST_TSO4: 1 << 7,
  GUEST_TSO6: 1 << 8,
  GUEST_ECN: 1 << 9,
  HOST_TSO4: 1 << 11,
  HOST_TSO6: 1 << 12,
  HOST_ECN: 1 << 13,
  MRG_RXBUF: 1 << 15,
  STATUS: 1 << 16,
} as const;

/** What is left to the device on frames from the driver, and to the driver on frames for it. */
const OFFLOADS = [
  { offload: OFFLOAD.CSUM, toDevice: VIRTIO_NET_F.CSUM, toDriver: VIRTIO_NET_F.GUEST_CSUM },
  { offload: OFFLOAD.TSO4, toDevice: VIRTIO_NET_F.HOST_TSO4, toDriver: VIRTIO_NET_F.GUEST_TSO4 },
  { offload: OFFLOAD.TSO6, toDevice: VIRTIO_NET_F.HOST_TSO6, toDriver: VIRTIO_NET_F.GUEST_TSO6 },
  { offload: OFFLOAD.TSO_ECN, toDevice: VIRTIO_NET_F.HOST_ECN, toDriver: VIRTIO_NET_F.GUEST_ECN },
] as const;

/** What a device offers whose link has these offloads, both ways. */
export const offloadFeatures = (offloads: number): number =>
  OFFLOADS.filter(({ offload }) => (offloads & offload) !== 0).reduce(
    (features, { toDevice, toDriver }) => features | toDevice | toDriver,
    0,
  );

const chosen = (features: number, direction: "toDevice" | "toDriver"): number =>
  OFFLOADS.filter((each) => (features & each[direction]) !== 0).reduce(
    (offloads, { offload }) => offloads | offload,
    0,
  );

/** Without those that need another one that is not there (§5.1.3.1). */
function consistent(offloads: number): number {
  if ((offloads & OFFLOAD.CSUM) === 0) return 0;
  return (offloads & (OFFLOAD.TSO4 | OFFLOAD.TSO6)) === 0 ? OFFLOAD.CSUM : offloads;
}

/** What the driver may leave to the device. */
export const offloadsToDevice = (features: number): number =>
  consistent(chosen(features, "toDevice"));

/** What the device may leave to the driver. */
export const offloadsToDriver = (features: number): number =>
  consistent(chosen(features, "toDriver"));

/** Whether each feature has those that it needs. */
export const isPossible = (features: number): boolean =>
  offloadsToDevice(features) === chosen(features, "toDevice") &&
  offloadsToDriver(features) === chosen(features, "toDriver");
