import { mustRun } from "./monitors.ts";

export const TAP = "bench0";
export const GUEST_ADDRESS = "10.0.0.2";

/**
 * A network namespace of its own for a guest and who talks to it. Needs root. Programs that run in
 * it are started through {@link command}.
 */
export class Namespace {
  readonly name: string;

  constructor() {
    this.name = `solo5-bench-${process.pid}`;
    mustRun("ip", "netns", "add", this.name);
    this.run("ip", "link", "set", "lo", "up");
    this.run("ip", "tuntap", "add", TAP, "mode", "tap");
    this.run("ip", "address", "add", "10.0.0.1/24", "dev", TAP);
    this.run("ip", "link", "set", TAP, "up");
  }

  command(args: readonly string[]): string[] {
    return ["ip", "netns", "exec", this.name, ...args];
  }

  run(...args: readonly string[]): string {
    const [program = "", ...rest] = this.command(args);
    return mustRun(program, ...rest);
  }

  close(): void {
    mustRun("ip", "netns", "delete", this.name);
  }
}
