import { HostError } from "../core/errors.ts";
import type { KvmAddon, KvmVm } from "./addon.ts";

const REMEDIES: Readonly<Record<string, string>> = {
  ENOENT: "this machine has no KVM; load the kvm_intel or kvm_amd module where there is one",
  ENXIO: "this machine's processor or hypervisor offers no virtualisation",
  ENODEV: "this machine's processor or hypervisor offers no virtualisation",
  EACCES: "you may not use KVM: join the group kvm (sudo usermod -aG kvm $USER) and log in again",
  EPERM: "you may not use KVM: join the group kvm (sudo usermod -aG kvm $USER) and log in again",
  EBUSY: "another hypervisor holds the processor's virtualisation",
  ENOMEM: "free some memory",
  EMFILE: "too many open files: raise `ulimit -n`",
};

/**
 * @param timed whether to measure the time spent in the guest
 * @throws HostError with what to do about it
 */
export function openKvmVm(addon: KvmAddon, device: string, timed: boolean): KvmVm {
  try {
    return new addon.KvmVm(device, timed);
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    const what = syscall === "open" ? `cannot open ${device}` : `${device} refuses ${syscall}`;
    throw new HostError(what, {
      errno: code,
      remedy: code === undefined ? undefined : REMEDIES[code],
      cause,
    });
  }
}
