// Runs the built command once, on a guest that prints a line and ends, and keeps what V8 of this Node
// compiled for it, beside each bundle in `dist/`. See docs/decisions/0008-code-cache.md.
const { readdirSync, readFileSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const vm = require("node:vm");

const root = join(__dirname, "..");
const dist = join(root, "dist");
const loaded = new Map();

// The command makes one script of each bundle.
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    loaded.set(options.filename, this);
  }
};

/** What the trial run has not loaded is compiled as far as V8 does without running it. */
function keep(name) {
  const filename = join(dist, name);
  const script =
    loaded.get(filename) ?? new vm.Script(readFileSync(filename, "latin1"), { filename });
  writeFileSync(filename.replace(/\.js$/, ".code"), script.createCachedData());
}

process.on("exit", (status) => {
  if (status !== 0) return;
  for (const name of readdirSync(dist)) {
    if (/^(bundle|fallback)(\.\w+)?\.js$/.test(name)) keep(name);
  }
});
const image = join(root, "kernel", "build", "hello.iso");
process.argv = [process.argv[0], "solo5-kvm", image, "--accel", "emu"];
require(join(dist, "solo5-kvm.js"));
