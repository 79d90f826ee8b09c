import { execFileSync } from "node:child_process";
import { onTestFinished } from "vitest";
import { type Ended, execute, Process, type ProcessOptions, start } from "./monitor.ts";

/** The guest's address, and the host's on the other end of the tap. */
export const GUEST = "10.0.0.2";
export const HOST = "10.0.0.1";

let made = 0;

/** A network of the present test's own: nothing in it but the loopback device. */
export class NetworkNamespace {
  readonly name = `s5t${process.pid}-${made++}`;
  readonly prefix: readonly string[] = ["ip", "netns", "exec", this.name];

  constructor() {
    execFileSync("ip", ["netns", "add", this.name]);
    onTestFinished(() => {
      execFileSync("ip", ["netns", "delete", this.name]);
    });
    this.ip("link", "set", "lo", "up");
  }

  /** Runs `ip` here; returns its output. */
  ip(...args: string[]): string {
    return execFileSync("ip", ["-netns", this.name, ...args], { encoding: "utf8", stdio: "pipe" });
  }

  /** A tap with {@link HOST} on it. */
  addTap(tap: string, address = `${HOST}/24`): void {
    this.ip("tuntap", "add", "dev", tap, "mode", "tap");
    this.ip("address", "add", address, "dev", tap);
    this.ip("link", "set", tap, "up");
  }

  hasLink(name: string): boolean {
    return this.ip("-brief", "link")
      .split("\n")
      .some((line) => line.startsWith(`${name} `));
  }

  execute(command: readonly string[], options: ProcessOptions = {}): Promise<Ended> {
    return execute(command, { ...options, prefix: this.prefix });
  }

  spawn(command: readonly string[], options: ProcessOptions = {}): Process {
    return new Process(command, { ...options, prefix: this.prefix });
  }

  /** `solo5-kvm` in this network. */
  start(args: readonly string[], options: ProcessOptions = {}): Process {
    return start(args, { ...options, prefix: this.prefix });
  }

  /** `ping(8)` of the guest. */
  ping(...args: string[]): Promise<Ended> {
    return this.execute(["ping", "-n", ...args, GUEST], { env: { ...process.env, LC_ALL: "C" } });
  }
}
