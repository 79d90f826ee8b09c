import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { ROOT } from "./monitor.ts";

const SOURCES = join(ROOT, "test/guest/hvt");
const CFLAGS = [
  ...["-O1", "-ffreestanding", "-fno-pic", "-no-pie", "-mgeneral-regs-only", "-mno-red-zone"],
  ...["-Wall", "-Wextra", "-fno-stack-protector", "-fno-asynchronous-unwind-tables"],
  ...["-nostdlib", "-static", "-Wl,--build-id=none,-z,max-page-size=0x1000"],
];

/** Builds the unikernel of `test/guest/hvt` for Solo5's hvt in a folder; returns its path. */
export function buildHvtGuest(folder: string): string {
  const image = join(folder, "guest.hvt");
  const sources = ["guest.c", "start.S"].map((name) => join(SOURCES, name));
  const script = `-Wl,-T,${join(SOURCES, "link.ld")}`;
  execFileSync("cc", [...CFLAGS, script, "-o", image, ...sources], { stdio: "pipe" });
  return image;
}
