import { accessSync, constants, existsSync, readdirSync } from "node:fs";
import { availableParallelism, freemem, totalmem } from "node:os";
import type { Command } from "commander";
import { GIB, MIB } from "../core/units.ts";
import { loadAddon } from "../host/addon.ts";
import { errnoOf } from "../host/errno.ts";
import { automaticChoice, DEFAULT_MEMORY_MIB } from "../index.ts";
import type { KvmAddon } from "../kvm/addon.ts";
import { probeKvm } from "../kvm/probe.ts";
import { EXIT_STATUS } from "./exit-status.ts";
import { standardOutput } from "./standard-output.ts";

/** What one check found. */
interface Finding {
  readonly what: string;
  /** `warn`: something optional is missing. */
  readonly state: "ok" | "warn" | "fail";
  readonly details: string;
}

export function addDoctorCommand(program: Command, finish: (status: number) => void): void {
  program
    .command("doctor")
    .description("say what works on this host, and what to do about what does not")
    .action(() => {
      const findings = [host(), addon(), kvm(), auto(), tap(), memory()];
      for (const { what, state, details } of findings) {
        standardOutput.write(`${state.padEnd(4)}  ${what.padEnd(8)}  ${details}\n`);
      }
      const failed = findings.some(({ state }) => state === "fail");
      finish(failed ? EXIT_STATUS.refused : EXIT_STATUS.success);
    });
}

/** Runs a check that throws what is wrong. */
function attempt(what: string, onFailure: "warn" | "fail", check: () => string | Finding): Finding {
  try {
    const result = check();
    return typeof result === "string" ? { what, state: "ok", details: result } : result;
  } catch (error) {
    return { what, state: onFailure, details: (error as Error).message };
  }
}

/** With V8 from this version on large programs are quicker by emu (docs/performance.md). */
const QUICKER_NODE = 24;

function host(): Finding {
  const { platform, arch, versions } = process;
  const isQuick = Number.parseInt(versions.node, 10) >= QUICKER_NODE;
  const advice = isQuick ? "" : ` (with ${QUICKER_NODE} or later long runs by emu are quicker)`;
  return {
    what: "host",
    state: platform === "linux" && arch === "x64" ? "ok" : "warn",
    details: `${platform} ${arch}, Node ${versions.node}${advice}, ${availableParallelism()} processors`,
  };
}

const addon = (): Finding =>
  attempt("addon", "warn", () => {
    loadAddon();
    return "loaded";
  });

const kvm = (): Finding =>
  attempt("kvm", "warn", () => {
    const { native, nanosecondsPerInstruction } = probeKvm(loadAddon<KvmAddon>(), "/dev/kvm", () =>
      performance.now(),
    );
    const kind = kvmModules();
    if (native) return `/dev/kvm works${kind}, privileged code runs natively`;
    const speed = `about ${Math.round(nanosecondsPerInstruction)} ns an instruction`;
    return {
      what: "kvm",
      state: "warn",
      details: `/dev/kvm works${kind}, but emulates privileged code (${speed}): VT-x or AMD-V would be faster`,
    };
  });

const auto = (): Finding =>
  attempt("auto", "fail", () => {
    const { accelerator, reason } = automaticChoice();
    return `runs guests with --accel ${accelerator}: ${reason}`;
  });

/** The modules of KVM that this host has loaded, which tell its kind. */
function kvmModules(): string {
  if (!existsSync("/sys/module")) return "";
  const modules = readdirSync("/sys/module").filter((name) => name.startsWith("kvm_"));
  return modules.length === 0 ? "" : ` (${modules.join(", ")})`;
}

const tap = (): Finding =>
  attempt("tap", "warn", () => {
    const path = "/dev/net/tun";
    try {
      accessSync(path, constants.R_OK | constants.W_OK);
    } catch (cause) {
      throw new Error(
        `${path} cannot be used (${errnoOf(cause)}): --net tap:IFNAME needs it; --net user does not`,
      );
    }
    const root = process.getuid?.() === 0;
    return root
      ? "taps can be made and used"
      : "taps of yours can be used; making one needs root: sudo ip tuntap add NAME mode tap user $USER";
  });

const memory = (): Finding => ({
  what: "memory",
  state: freemem() >= DEFAULT_MEMORY_MIB * MIB ? "ok" : "warn",
  details: `${(freemem() / GIB).toFixed(1)} of ${(totalmem() / GIB).toFixed(1)} GiB free; a guest gets ${DEFAULT_MEMORY_MIB} MiB unless told otherwise`,
});
