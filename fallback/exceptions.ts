/** Exceptions: Intel SDM vol. 3A, chapter 6 ("Interrupt and exception handling"). */

import type { FailedException } from "../src/core/cpu.ts";

/** Vectors under their mnemonics, table 6-1. */
export const VECTOR = {
  DE: 0,
  DB: 1,
  NMI: 2,
  BP: 3,
  OF: 4,
  BR: 5,
  UD: 6,
  NM: 7,
  DF: 8,
  TS: 10,
  NP: 11,
  SS: 12,
  GP: 13,
  PF: 14,
  MF: 16,
  AC: 17,
  MC: 18,
  XM: 19,
} as const;

const maskOf = (...vectors: readonly number[]): number =>
  vectors.reduce((mask, vector) => mask | (1 << vector), 0);
const inMask = (mask: number, vector: number): boolean =>
  vector < 32 && ((mask >>> vector) & 1) !== 0;

const WITH_ERROR_CODE = maskOf(
  VECTOR.DF,
  VECTOR.TS,
  VECTOR.NP,
  VECTOR.SS,
  VECTOR.GP,
  VECTOR.PF,
  VECTOR.AC,
);
const CONTRIBUTORY = maskOf(VECTOR.DE, VECTOR.TS, VECTOR.NP, VECTOR.SS, VECTOR.GP);
const TRAPS = maskOf(VECTOR.DB, VECTOR.BP, VECTOR.OF);
const ABORTS = maskOf(VECTOR.DF, VECTOR.MC);

/** Whether the exception pushes an error code (outside real mode). */
export const hasErrorCode = (vector: number): boolean => inMask(WITH_ERROR_CODE, vector);

/**
 * Table 6-1: a fault leaves RIP at the instruction, a trap behind it. #DB counts as a trap: as the
 * fault that it is for instruction breakpoints and DR7.GD it must not set RF either.
 */
export function exceptionClass(vector: number): "fault" | "trap" | "abort" {
  if (inMask(ABORTS, vector)) return "abort";
  return inMask(TRAPS, vector) ? "trap" : "fault";
}

/** Table 6-4: how an exception counts while another one is being delivered. */
export function doubleFaultClass(vector: number): "benign" | "contributory" | "page-fault" {
  if (vector === VECTOR.PF) return "page-fault";
  return inMask(CONTRIBUTORY, vector) ? "contributory" : "benign";
}

/** Thrown where an instruction faults. No stack trace: guests fault often. */
export class CpuException {
  readonly vector: number;
  /** 16 bits (#PF: 32), for the vectors that push one. */
  readonly errorCode: number | undefined;

  constructor(vector: number, errorCode?: number) {
    this.vector = vector;
    this.errorCode = errorCode;
  }
}

/** Thrown when an exception arises while a double fault is being delivered: the shutdown state. */
export class TripleFault {
  /** What led to it, in order: the last is the double fault. */
  readonly exceptions: readonly FailedException[];

  constructor(exceptions: readonly FailedException[]) {
    this.exceptions = exceptions;
  }
}

export const undefinedOpcode = (): CpuException => new CpuException(VECTOR.UD);
export const generalProtection = (errorCode = 0): CpuException =>
  new CpuException(VECTOR.GP, errorCode);
export const stackFault = (errorCode = 0): CpuException => new CpuException(VECTOR.SS, errorCode);
export const notPresent = (errorCode: number): CpuException =>
  new CpuException(VECTOR.NP, errorCode);
export const invalidTss = (errorCode: number): CpuException =>
  new CpuException(VECTOR.TS, errorCode);
