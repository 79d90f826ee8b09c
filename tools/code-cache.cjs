// Runs the built command once, on a guest that prints a line and ends, and keeps what V8 of this Node
// compiled for it: `dist/bundle.code` and `dist/fallback.code`. See docs/decisions/0008-code-cache.md.
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const { setFlagsFromString } = require("node:v8");
const vm = require("node:vm");

const root = join(__dirname, "..");
const scripts = [];

// The command makes one script of each bundle.
vm.Script = class extends vm.Script {
  constructor(source, options) {
    super(source, options);
    scripts.push([options.filename, this]);
  }
};
process.on("exit", (status) => {
  if (status !== 0) return;
  // The flags of a start, which V8 writes into the code: the command has changed them (`start.cjs`).
  setFlagsFromString("--opt");
  for (const [file, script] of scripts) {
    writeFileSync(file.replace(/\.js$/, ".code"), script.createCachedData());
  }
});
const image = join(root, "kernel", "build", "hello.iso");
process.argv = [process.argv[0], "solo5-kvm", image, "--accel", "emu"];
require(join(root, "dist", "solo5-kvm.js"));
