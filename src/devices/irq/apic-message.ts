/**
 * What I/O APIC and local APIC say to each other (Intel SDM vol. 3A, "Interrupt Command Register";
 * 82093AA data sheet §3.2.4: both encode it alike).
 */

/** Delivery modes, three bits. */
export const DELIVERY = {
  FIXED: 0,
  LOWEST_PRIORITY: 1,
  SMI: 2,
  NMI: 4,
  INIT: 5,
  STARTUP: 6,
  EXTINT: 7,
} as const;

/** Vectors below are the processor's own: no APIC delivers them. */
export const FIRST_VECTOR = 16;

export interface ApicMessage {
  /** One of {@link DELIVERY}, or the reserved 3. */
  readonly mode: number;
  /** 0 to 255. */
  readonly vector: number;
  /** Level-triggered: the local APIC tells everybody when it is through with it. */
  readonly level: boolean;
  /** 8 bits: an APIC's ID, or a logical destination. */
  readonly destination: number;
  readonly logical: boolean;
}
