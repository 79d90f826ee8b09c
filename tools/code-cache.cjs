// Runs the built command on a few guests, and keeps what V8 of this Node compiled for it, beside each
// bundle in `dist/`. See docs/decisions/0008-code-cache.md.
const { spawnSync } = require("node:child_process");
const { readdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const vm = require("node:vm");

const root = join(__dirname, "..");
const dist = join(root, "dist");
const image = (name) => join(root, "kernel", "build", `${name}.iso`);

/** A disk for the trial that needs one, beside the bundles. */
const DISK = "trial.disk";
const DISK_SIZE = 512 * 256;

/**
 * The trial runs: a start, the report of a crash with nobody at `--gdb`, a disk and translation; and whose
 * code is kept of each. Each begins with the code that was kept before, so that what the first two
 * need comes together.
 */
const TRIALS = [
  { keeps: ["bundle", "fallback"], args: [image("hello")], status: 0 },
  {
    keeps: ["bundle", "fallback", "bundle.crash", "bundle.gdb", "fallback.text"],
    args: [image("exception"), "--net", "none", "--gdb", "unix:trial.gdb", "--", "divide"],
    status: 255,
  },
  { keeps: ["bundle.other"], args: [image("block"), "--block", DISK], status: 0 },
  {
    keeps: ["fallback.jit"],
    args: [image("kernel"), "--deterministic", "--ping", "400"],
    status: 0,
  },
];

/** The code of what has been compiled of a bundle. */
function keep(name, script) {
  writeFileSync(join(dist, `${name}.code`), script.createCachedData());
}

function runTrial({ keeps, args, status }) {
  const scripts = new Map();
  // The command makes one script of each bundle.
  vm.Script = class extends vm.Script {
    constructor(source, options) {
      super(source, options);
      scripts.set(options.filename, this);
    }
  };
  process.on("exit", (ended) => {
    if (ended !== status) throw new Error(`the trial run of ${args[0]} ended with status ${ended}`);
    for (const name of keeps) keep(name, scripts.get(join(dist, `${name}.js`)));
    // That is what the build wants to hear.
    process.exitCode = 0;
  });
  process.argv = [
    process.argv[0],
    "solo5-kvm",
    ...args.slice(0, 1),
    "--accel",
    "emu",
    ...args.slice(1),
  ];
  require(join(dist, "solo5-kvm.js"));
}

/** What no trial run is for is compiled as far as V8 does without running it. */
function keepOthers() {
  const kept = new Set(TRIALS.flatMap(({ keeps }) => keeps));
  for (const file of readdirSync(dist)) {
    const [, name] = /^((?:bundle|fallback)(?:\.\w+)?)\.js$/.exec(file) ?? [];
    if (name === undefined || kept.has(name)) continue;
    const filename = join(dist, file);
    keep(name, new vm.Script(readFileSync(filename, "latin1"), { filename }));
  }
}

const [, , number] = process.argv;
if (number !== undefined) runTrial(TRIALS[Number(number)]);
else {
  for (const file of readdirSync(dist)) if (file.endsWith(".code")) rmSync(join(dist, file));
  writeFileSync(join(dist, DISK), new Uint8Array(DISK_SIZE));
  for (const index of TRIALS.keys()) {
    const { status, stderr } = spawnSync(process.execPath, [__filename, String(index)], {
      cwd: dist,
      stdio: ["ignore", "ignore", "pipe"],
    });
    if (status === 0) continue;
    process.stderr.write(stderr);
    process.exit(1);
  }
  rmSync(join(dist, DISK));
  keepOthers();
}
