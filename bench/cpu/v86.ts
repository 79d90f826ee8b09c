// Runs the 32-bit guest in v86: `v86.js GUEST WORKLOAD`. The guest's serial port is standard output.
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { V86 } from "v86";

const MEMORY = 512 << 20;
/** The guest's last line. */
const END = /^ticks \d+\n/m;

const [guest = "", workload = ""] = process.argv.slice(2);
const build = dirname(createRequire(import.meta.url).resolve("v86"));
const emulator = new V86({
  wasm_path: join(build, "v86.wasm"),
  memory_size: MEMORY,
  multiboot: { url: guest },
  cmdline: workload,
  autostart: true,
});
let output = "";
emulator.add_listener("serial0-output-byte", (byte: number) => {
  output += String.fromCharCode(byte);
  if (!END.test(output)) return;
  process.stdout.write(output);
  process.exit();
});
