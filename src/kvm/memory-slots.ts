import type { GuestMemory } from "../core/guest-memory.ts";
import { gpa } from "../core/units.ts";
import type { KvmVm } from "./addon.ts";

/** `linux/kvm.h`: whether slots can be read-only. */
const KVM_CAP_READONLY_MEM = 81;

interface Slot {
  readonly start: number;
  readonly end: number;
  readonly readOnly: boolean;
}

/**
 * Hands RAM to KVM, in as few slots as its protection allows: a write to a read-only one comes back
 * as an access outside RAM. Reading and executing cannot be denied this way.
 */
export function mapGuestMemory(vm: KvmVm, memory: GuestMemory): void {
  slotsOf(vm, memory).forEach(({ start, end, readOnly }, index) => {
    vm.mapMemory(index, start, memory.slice(gpa(start), end - start), readOnly);
  });
}

/** Takes all of it away. */
export function unmapGuestMemory(vm: KvmVm, memory: GuestMemory): void {
  slotsOf(vm, memory).forEach((_slot, index) => {
    vm.mapMemory(index, 0, memory.slice(gpa(0), 0), false);
  });
}

function slotsOf(vm: KvmVm, { protections, extent }: GuestMemory): Slot[] {
  const slots: Slot[] = [];
  const add = (start: number, end: number, readOnly: boolean): void => {
    const last = slots.at(-1);
    if (start === end) return;
    if (last !== undefined && last.readOnly === readOnly) slots.pop();
    slots.push({ start: last?.readOnly === readOnly ? last.start : start, end, readOnly });
  };
  const denied = protections.filter(({ write }) => !write);
  const possible = denied.length > 0 && vm.checkExtension(KVM_CAP_READONLY_MEM) > 0;
  let from = 0;
  for (const { start, end } of possible ? denied : []) {
    add(from, start, false);
    add(start, end, true);
    from = end;
  }
  add(from, extent, false);
  return slots;
}
