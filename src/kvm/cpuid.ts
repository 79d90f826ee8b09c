import type { KvmVm } from "./addon.ts";
import { CPUID, SIZE } from "./layout.ts";

const REGISTER_NAMES = ["eax", "ebx", "ecx", "edx"] as const;

type Bits = { readonly leaf: number } & {
  readonly [Name in (typeof REGISTER_NAMES)[number]]?: number;
};

const bit = (n: number): number => 1 << n;
const ALL = ~0;

/**
 * The bits that the host's processor and KVM offer and this machine does not have: its local APIC
 * is not KVM's and knows xAPIC mode only, so that performance counters have no interrupt; it has one
 * processor, and no way to serve KVM's paravirtual interrupts. (Intel SDM vol. 2A, CPUID; AMD APM
 * vol. 3, appendix E; Linux Documentation/virt/kvm/x86/cpuid.rst.)
 */
const WITHHELD: readonly Bits[] = [
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
  // Performance counters.
  { leaf: 0xa, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
  // Topology: some KVMs tell that of the host, with the APIC ID of the processor that was asked.
  { leaf: 0xb, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
  { leaf: 0x1f, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
  {
    leaf: 0x4000_0001,
    // Everything but the clock (CLOCKSOURCE, CLOCKSOURCE2, CLOCKSOURCE_STABLE) and NOP_IO_DELAY.
    eax: ~(bit(0) | bit(1) | bit(3) | bit(24)),
  },
  // AMD: that the package has several cores; how many processors share a cache, less one.
  { leaf: 0x8000_0001, ecx: bit(1) },
  { leaf: 0x8000_001d, eax: 0x03ff_c000 },
  // AMD: cores less one and the width of APIC IDs; APIC ID; performance counters; topology.
  { leaf: 0x8000_0008, ecx: 0xf0ff },
  { leaf: 0x8000_001e, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
  { leaf: 0x8000_0022, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
  { leaf: 0x8000_0026, eax: ALL, ebx: ALL, ecx: ALL, edx: ALL },
];

/** What only the machine's maker knows: that there is a hypervisor, and so its leaves. */
const ADDED: readonly Bits[] = [{ leaf: 0x1, ecx: bit(31) }];

/** More leaves than any processor reports. */
const MAX_ENTRIES = 256;

/** Gives the vCPU what KVM supports on this host, less what the machine lacks. */
export function configureCpuid(vm: KvmVm): void {
  const bytes = new Uint8Array(MAX_ENTRIES * SIZE.cpuid);
  const entries = bytes.subarray(0, vm.supportedCpuid(bytes) * SIZE.cpuid);
  const view = new DataView(bytes.buffer);
  for (let at = 0; at < entries.length; at += SIZE.cpuid) {
    const leaf = view.getUint32(at + CPUID.function, true);
    const withheld = WITHHELD.find((bits) => bits.leaf === leaf);
    const added = ADDED.find((bits) => bits.leaf === leaf);
    for (const name of REGISTER_NAMES) {
      const value = view.getUint32(at + CPUID[name], true);
      const left = value & ~(withheld?.[name] ?? 0);
      view.setUint32(at + CPUID[name], left | (added?.[name] ?? 0), true);
    }
  }
  vm.setCpuid(entries);
}
