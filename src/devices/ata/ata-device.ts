import type { Resettable } from "../../core/device.ts";
import { ERROR, type TaskFile } from "./task-file.ts";

/** Bytes that go to the guest or come from it by DMA. */
export interface DmaTransfer {
  readonly toGuest: boolean;
  /** Bytes. */
  readonly length: number;
  /**
   * Fills a part of the guest's memory, or takes it.
   * @param offset of that part in the transfer
   * @returns whether the device could
   */
  move(offset: number, guest: Uint8Array): boolean;
}

/** What a command does next (the protocols of ATA/ATAPI-6, clause 9). */
export type Step =
  /** It is over. Without an error unless there is one; quiet: without an interrupt. */
  | { readonly kind: "finish"; readonly error?: number; readonly quiet?: boolean }
  /** The guest reads a block. */
  | { readonly kind: "send"; readonly data: Uint8Array; readonly next: () => Step }
  /** The guest writes a block. Quiet: it has not to be told that it may. */
  | {
      readonly kind: "receive";
      readonly length: number;
      readonly quiet: boolean;
      readonly next: (data: Uint8Array) => Step;
    }
  /** The bus master moves everything. */
  | {
      readonly kind: "dma";
      readonly transfer: DmaTransfer;
      /** @param complete whether all of it was moved */
      readonly next: (complete: boolean) => Step;
    };

/** A device at a cable of the AT's disk interface: it knows commands, and nothing of ports. */
export interface AtaDevice extends Resettable {
  /** Of the PACKET feature set: it answers to DEVICE RESET, and is not ready after one. */
  readonly packet: boolean;
  /** LBA mid and high after a reset (§9.12). */
  readonly signature: number;
  /** The registers are those of the command, and may be changed to answer. */
  execute(command: number, task: TaskFile): Step;
}

export const DONE: Step = { kind: "finish" };
/** After the last block of a PIO read: the guest has had its interrupt. */
export const QUIETLY_DONE: Step = { kind: "finish", quiet: true };

export const failed = (error: number): Step => ({ kind: "finish", error });

/** A command that is not the device's, or cannot be done. */
export const ABORTED: Step = failed(ERROR.ABORTED);
