import type { KvmVm } from "./addon.ts";
import { CPUID, SIZE } from "./layout.ts";

const REGISTER_NAMES = ["eax", "ebx", "ecx", "edx"] as const;

type Withheld = { readonly leaf: number } & {
  readonly [Name in (typeof REGISTER_NAMES)[number]]?: number;
};

const bit = (n: number): number => 1 << n;

/**
 * The bits that the host's processor and KVM offer and this machine does not have: its local APIC
 * is not KVM's and knows xAPIC mode only, it has one processor, and no way to serve KVM's
 * paravirtual interrupts. (Intel SDM vol. 2A, CPUID; Linux Documentation/virt/kvm/x86/cpuid.rst.)
 */
const WITHHELD: readonly Withheld[] = [
  {
    leaf: 0x1,
    // MONITOR, x2APIC, TSC-deadline timer
    ecx: bit(3) | bit(21) | bit(24),
    // The host's APIC ID, and its number of processors: ours are 0 and 1.
    ebx: 0xffff_0000,
    // Hyper-threading
    edx: bit(28),
  },
  // How many processors share a cache, and how many cores the package has, both less one.
  { leaf: 0x4, eax: 0xffff_c000 },
  {
    leaf: 0x4000_0001,
    // Everything but the clock (CLOCKSOURCE, CLOCKSOURCE2, CLOCKSOURCE_STABLE) and NOP_IO_DELAY.
    eax: ~(bit(0) | bit(1) | bit(3) | bit(24)),
  },
];

/** More leaves than any processor reports. */
const MAX_ENTRIES = 256;

/** Gives the vCPU what KVM supports on this host, less what the machine lacks. */
export function configureCpuid(vm: KvmVm): void {
  const bytes = new Uint8Array(MAX_ENTRIES * SIZE.cpuid);
  const entries = bytes.subarray(0, vm.supportedCpuid(bytes) * SIZE.cpuid);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < entries.length; at += SIZE.cpuid) {
    const leaf = view.getUint32(at + CPUID.function, true);
    const withheld = WITHHELD.find((w) => w.leaf === leaf);
    if (withheld === undefined) continue;
    for (const name of REGISTER_NAMES) {
      const value = view.getUint32(at + CPUID[name], true);
      view.setUint32(at + CPUID[name], value & ~(withheld[name] ?? 0), true);
    }
  }
  vm.setCpuid(entries);
}
