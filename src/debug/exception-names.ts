/** Exceptions by vector, as Intel SDM vol. 3A table 6-1 calls them. */

export const PAGE_FAULT = 14;

export const EXCEPTION_NAMES: readonly (string | undefined)[] = [
  ...["divide error", "debug exception", "NMI", "breakpoint", "overflow", "BOUND range exceeded"],
  ...["invalid opcode", "device not available", "double fault", undefined, "invalid TSS"],
  ...["segment not present", "stack-segment fault", "general protection", "page fault", undefined],
  ...["x87 error", "alignment check", "machine check", "SIMD error", "virtualization exception"],
  "control protection exception",
];
