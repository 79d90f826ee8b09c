/**
 * Offsets, sizes and numbers of KVM's x86 structures (Linux `uapi/linux/kvm.h` and
 * `uapi/asm/kvm.h`). The addon tells what the C compiler makes of the same structures; a test
 * compares the two.
 */

/** `struct kvm_run`, shared with the kernel. */
export const RUN = {
  request_interrupt_window: 0,
  exit_reason: 8,
  ready_for_interrupt_injection: 12,
  if_flag: 13,
  cr8: 16,
  apic_base: 24,
  "io.direction": 32,
  "io.size": 33,
  "io.port": 34,
  "io.count": 36,
  "io.data_offset": 40,
  "mmio.phys_addr": 32,
  "mmio.data": 40,
  "mmio.len": 48,
  "mmio.is_write": 52,
  "internal.suberror": 32,
  "internal.ndata": 36,
  "emulation_failure.flags": 40,
  "emulation_failure.insn_size": 48,
  "emulation_failure.insn_bytes": 49,
  "fail_entry.hardware_entry_failure_reason": 32,
  "debug.arch.dr6": 48,
} as const;

/** `struct kvm_regs`: 64-bit fields. */
export const REGS = {
  rax: 0,
  rbx: 8,
  rcx: 16,
  rdx: 24,
  rsi: 32,
  rdi: 40,
  rsp: 48,
  rbp: 56,
  r8: 64,
  r9: 72,
  r10: 80,
  r11: 88,
  r12: 96,
  r13: 104,
  r14: 112,
  r15: 120,
  rip: 128,
  rflags: 136,
} as const;

/** `struct kvm_sregs`. */
export const SREGS = {
  cs: 0,
  ds: 24,
  es: 48,
  fs: 72,
  gs: 96,
  ss: 120,
  tr: 144,
  ldt: 168,
  gdt: 192,
  idt: 208,
  cr0: 224,
  cr2: 232,
  cr3: 240,
  cr4: 248,
  cr8: 256,
  efer: 264,
  apic_base: 272,
} as const;

/** `struct kvm_segment`. */
export const SEGMENT = {
  base: 0,
  limit: 8,
  selector: 12,
  type: 14,
  present: 15,
  dpl: 16,
  db: 17,
  s: 18,
  l: 19,
  g: 20,
  avl: 21,
  unusable: 22,
} as const;

/** `struct kvm_cpuid_entry2`: 32-bit fields. */
export const CPUID = { function: 0, index: 4, eax: 12, ebx: 16, ecx: 20, edx: 24 } as const;

/** `struct kvm_debugregs`: 64-bit fields. */
export const DEBUGREGS = { db: 0, dr6: 32, dr7: 40 } as const;

/** `struct kvm_guest_debug`: a 32-bit field, and DR0 to DR7. */
export const GUESTDEBUG = { control: 0, "arch.debugreg": 8 } as const;

/** Bits of its `control`. */
export const KVM_GUESTDBG_ENABLE = 1 << 0;
export const KVM_GUESTDBG_SINGLESTEP = 1 << 1;
export const KVM_GUESTDBG_USE_HW_BP = 1 << 17;

/** `struct kvm_vcpu_events`. */
export const EVENTS = {
  "exception.injected": 0,
  "exception.nr": 1,
  "exception.has_error_code": 2,
  "exception.pending": 3,
  "exception.error_code": 4,
  "interrupt.injected": 8,
  "interrupt.nr": 9,
  "interrupt.shadow": 11,
  "nmi.injected": 12,
  "nmi.pending": 13,
  "nmi.masked": 14,
} as const;

export const KVM_X86_SHADOW_INT_MOV_SS = 1;
export const KVM_X86_SHADOW_INT_STI = 2;

/** `struct kvm_xcrs`: the value of its first entry, XCR0. */
export const XCRS = { value: 16 } as const;

/** `struct kvm_msrs`: its entries, which have the number first; and in one, the data. */
export const MSRS = { entries: 8, data: 8 } as const;

/** `struct kvm_xsave`: an XSAVE area (Intel SDM vol. 1 §13.4), whose header begins here. */
export const XSAVE_HEADER = 512;
/** And the component of AVX, on all processors. */
export const XSAVE_AVX = 576;

export const SIZE = {
  ...{ regs: 144, sregs: 312, xsave: 4096, xcrs: 392, debugregs: 128, events: 64 },
  ...{ msr: 16, msrs: 264, cpuid: 40, guestdebug: 72 },
} as const;

/** KVM_EXIT_*. */
export const EXIT = {
  IO: 2,
  DEBUG: 4,
  HLT: 5,
  MMIO: 6,
  IRQ_WINDOW_OPEN: 7,
  SHUTDOWN: 8,
  FAIL_ENTRY: 9,
  INTR: 10,
  SET_TPR: 11,
  INTERNAL_ERROR: 17,
} as const;

export const KVM_EXIT_IO_OUT = 1;
export const KVM_INTERNAL_ERROR_EMULATION = 1;
export const KVM_INTERNAL_ERROR_EMULATION_FLAG_INSTRUCTION_BYTES = 1;

/** Index of a state in the addon's table (`enum kvm_state`). */
export const STATE = {
  ...{ regs: 0, sregs: 1, xsave: 2, xcrs: 3, debugregs: 4, events: 5, msrs: 6, guestDebug: 7 },
} as const;
