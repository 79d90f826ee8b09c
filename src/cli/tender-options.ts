import { HostError } from "../core/errors.ts";
import { isBlockSize } from "../index.ts";
import { MAX_MEMORY_MIB } from "../machine/memory.ts";

/**
 * `--net:NAME=…` and its like, as solo5-hvt spells them, in our own spelling; other arguments as
 * they are. An interface is a tap's there; what is a back end of ours is taken for that.
 * @throws HostError
 */
export const expandTenderOptions = (args: readonly string[]): string[] =>
  args.flatMap((argument) => {
    const [, option, name, value] = OPTION.exec(argument) ?? [];
    if (option === undefined || name === undefined || value === undefined) return [argument];
    switch (option) {
      case "net":
        return ["--net", `${name}=${backendOf(value).replaceAll(",", ",,")}`];
      case "block":
        return ["--block", `${name}=${value.replaceAll(",", ",,")}`];
      default:
        return [`--${option}`, `${name}=${value}`];
    }
  });

const OPTION = /^--(net|net-mac|block|block-sector-size):([^=]*)=(.*)$/s;

function backendOf(value: string): string {
  if (/^(user|none|tap:.*)$/.test(value)) return value;
  if (value.startsWith("@")) {
    throw new HostError(`a tap's descriptor (${value}) cannot be handed over here`, {
      remedy: "name the tap",
    });
  }
  return `tap:${value}`;
}

/** `NAME=VALUE`; the name as the manifest has it. @throws Error */
function splitSetting(text: string, what: string): { name: string; value: string } {
  const sign = text.indexOf("=");
  if (sign <= 0) throw new Error(`"${text}" does not say which device: write NAME=${what}`);
  return { name: text.slice(0, sign), value: text.slice(sign + 1) };
}

export interface BlockSizeSetting {
  readonly name: string;
  readonly blockSize: number;
}

export interface MacSetting {
  readonly name: string;
  /** Not yet parsed. */
  readonly mac: string;
}

/** @throws Error */
export function parseBlockSize(text: string): BlockSizeSetting {
  const { name, value } = splitSetting(text, "BYTES");
  const blockSize = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (isBlockSize(blockSize)) return { name, blockSize };
  throw new Error(`Block size must be a multiple of 2 greater than or equal 512, not "${value}"`);
}

/** @throws Error */
export function parseMacSetting(text: string): MacSetting {
  const { name, value } = splitSetting(text, "MAC");
  return { name, mac: value };
}

/** The most that `--mem` takes: the machine rounds it down to what there can be. */
export const MEMORY_LIMIT_MIB = Math.ceil(MAX_MEMORY_MIB / 1024) * 1024;
