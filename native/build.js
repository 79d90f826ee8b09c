// Builds the addon with node-gyp if it is missing or older than its sources. Run at `npm ci` with
// --optional: then a failure is one line and no error, since without the addon there is still the
// CPU written in TypeScript.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, "build", "Release", "solo5_kvm.node");
const optional = process.argv.includes("--optional");

function upToDate() {
  if (!existsSync(addon)) return false;
  const built = statSync(addon).mtimeMs;
  const sources = readdirSync(join(root, "native")).map((name) => join(root, "native", name));
  return [join(root, "binding.gyp"), ...sources].every((path) => statSync(path).mtimeMs <= built);
}

/** Node's own distributions bring their headers along: with them the build needs no download. */
function headers() {
  const prefix = dirname(dirname(process.execPath));
  return existsSync(join(prefix, "include", "node", "uv.h")) ? [`--nodedir=${prefix}`] : [];
}

function build() {
  const gyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");
  return spawnSync(process.execPath, [gyp, "rebuild", "--loglevel=error", ...headers()], {
    cwd: root,
    encoding: "utf8",
    stdio: ["ignore", "pipe", "pipe"],
  });
}

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log("solo5-kvm: KVM and taps are for Linux on x86-64: the addon is not built here");
} else if (!upToDate()) {
  const { status, stdout, stderr } = build();
  if (status !== 0) {
    console.error(`${stdout}${stderr}`.trimEnd());
    console.error("solo5-kvm: the addon did not build (needed: a C++ compiler, make and python3)");
    if (!optional) process.exitCode = 1;
  }
}
