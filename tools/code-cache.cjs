// Runs the built command on a few guests, and keeps what V8 of this Node compiled for it, beside each
// bundle in `dist/`. See docs/decisions/0008-code-cache.md.
const { spawnSync } = require("node:child_process");
const { readdirSync, readFileSync, rmSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
const vm = require("node:vm");

// The command is started so (`tools/start.sh`), and V8 compares flags when it takes the code.
setFlagsFromString("--allow-natives-syntax");

const root = join(__dirname, "..");
const dist = join(root, "dist");
const image = (name) => join(root, "kernel", "build", `${name}.iso`);

/** A disk for the trial that needs one, beside the bundles. */
const DISK = "trial.disk";
const DISK_SIZE = 512 * 256;

/**
 * A guest by Multiboot (0.6.96 §3.1, with addresses in its header), in 32-bit mode: switches AVX on, and
 * executes a few instructions with VEX prefixes.
 */
const VECTORS = "trial.vectors";
const VECTORS_AT = 0x10_0000;
const VECTORS_CODE = [
  // mov eax, cr4; or eax, OSFXSR | OSXMMEXCPT | OSXSAVE; mov cr4, eax
  [0x0f, 0x20, 0xe0, 0x0d, 0x00, 0x06, 0x04, 0x00, 0x0f, 0x22, 0xe0],
  // xor ecx, ecx; xor edx, edx; mov eax, 7; xsetbv; mov ebx, VECTORS_AT
  [0x31, 0xc9, 0x31, 0xd2, 0xb8, 7, 0, 0, 0, 0x0f, 0x01, 0xd1, 0xbb, 0, 0, 0x10, 0],
  // vmovdqu ymm0, [ebx]; vpaddd ymm1, ymm0, ymm0; vpcmpeqb ymm2, ymm1, ymm0; vpmovmskb eax, ymm2
  [0xc5, 0xfe, 0x6f, 0x03, 0xc5, 0xfd, 0xfe, 0xc8, 0xc5, 0xf5, 0x74, 0xd0, 0xc5, 0xfd, 0xd7, 0xc2],
  // vmulpd ymm3, ymm0, ymm0; vfmadd231sd xmm3, xmm0, xmm0; vbroadcastss ymm4, [ebx]
  [0xc5, 0xfd, 0x59, 0xd8, 0xc4, 0xe2, 0xf9, 0xb9, 0xd8, 0xc4, 0xe2, 0x7d, 0x18, 0x23],
  // vextracti128 xmm5, ymm0, 1; andn eax, ecx, edx; vmovdqu [ebx + 256], ymm1; vzeroupper
  [0xc4, 0xe3, 0x7d, 0x39, 0xc5, 1, 0xc4, 0xe2, 0x70, 0xf2, 0xc2],
  [0xc5, 0xfe, 0x7f, 0x8b, 0, 1, 0, 0, 0xc5, 0xf8, 0x77],
  // mov eax, 41; mov edx, 0x501; out dx, ax: the end, with success
  [0xb8, 41, 0, 0, 0, 0xba, 1, 5, 0, 0, 0x66, 0xef],
].flat();

function vectorsGuest() {
  const [magic, flags, size] = [0x1bad_b002, 0x1_0000, 32];
  const [end, entry] = [VECTORS_AT + 0x1000, VECTORS_AT + size];
  const header = [magic, flags, -(magic + flags), VECTORS_AT, VECTORS_AT, 0, end, entry];
  return Buffer.concat([Buffer.from(Int32Array.from(header).buffer), Buffer.from(VECTORS_CODE)]);
}

/**
 * The trial runs: a start, the report of a crash with nobody at `--gdb`, a disk, translation and
 * vectors; and whose code is kept of each. Each begins with the code that was kept before, so that what the first two
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
  { keeps: ["fallback.late", "fallback.rare"], args: [VECTORS], status: 0 },
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
  for (const file of readdirSync(dist)) {
    if (/^(bundle|fallback).*\.code$/.test(file)) rmSync(join(dist, file));
  }
  writeFileSync(join(dist, DISK), new Uint8Array(DISK_SIZE));
  writeFileSync(join(dist, VECTORS), vectorsGuest());
  for (const index of TRIALS.keys()) {
    const { status, stderr } = spawnSync(process.execPath, [__filename, String(index)], {
      cwd: dist,
      stdio: ["ignore", "ignore", "pipe"],
    });
    if (status === 0) continue;
    process.stderr.write(stderr);
    process.exit(1);
  }
  for (const file of [DISK, VECTORS]) rmSync(join(dist, file));
  keepOthers();
}
