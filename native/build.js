// Builds the addon with node-gyp if it is missing or older than its sources. Run at `npm ci` with
// --optional: then a failure is a message and no error, since images can be made and inspected
// without the addon.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const addon = join(root, "build", "Release", "solo5_kvm.node");
const optional = process.argv.includes("--optional");

/** What node-gyp runs, and the environment variable that names another one. */
const TOOLS = [
  { name: "python3", variable: "PYTHON" },
  { name: "make", variable: "MAKE" },
  { name: "cc", variable: "CC" },
  { name: "g++", variable: "CXX" },
];

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

const missingTools = () =>
  TOOLS.filter(({ name, variable }) => {
    // The variable may hold arguments too (`ccache g++`).
    const [command] = (process.env[variable] || name).split(" ");
    return spawnSync(command, ["--version"], { stdio: "ignore" }).error !== undefined;
  }).map(({ name }) => name);

/** Returns what went wrong, for the user, or undefined. */
function build() {
  const missing = missingTools();
  if (missing.length > 0) {
    return (
      `the addon cannot be built without ${missing.join(", ")}: install what is missing ` +
      "(Debian, Ubuntu: sudo apt install g++ make python3), then run `npm run build:addon`"
    );
  }
  let gyp;
  try {
    gyp = createRequire(import.meta.url).resolve("node-gyp/bin/node-gyp.js");
  } catch {
    return "the addon cannot be built before `npm ci` has installed node-gyp";
  }
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [gyp, "rebuild", "--loglevel=error", ...headers()],
    { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] },
  );
  if (status === 0) return undefined;
  return `the addon did not build; this is what node-gyp says:\n${stdout}${stderr}`.trimEnd();
}

if (process.platform !== "linux" || process.arch !== "x64") {
  console.log("solo5-kvm: KVM and taps are for Linux on x86-64: the addon is not built here");
} else if (!upToDate()) {
  const failure = build();
  if (failure !== undefined) {
    console.error(`solo5-kvm: ${failure}`);
    if (!optional) process.exitCode = 1;
  }
}
