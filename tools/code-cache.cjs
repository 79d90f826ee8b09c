// Runs the built command once, on a guest that prints a line and ends, and keeps what V8 of this Node
// compiled for it: `dist/bundle.code` and `dist/fallback.code`. See docs/decisions/0008-code-cache.md.
const { writeFileSync } = require("node:fs");
const { join } = require("node:path");
const v8 = require("node:v8");
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
// V8 writes its flags into the code: they must be those of a start (`start.cjs`).
v8.setFlagsFromString = () => {};
process.on("exit", (status) => {
  if (status !== 0) return;
  for (const [file, script] of scripts) {
    writeFileSync(file.replace(/\.js$/, ".code"), script.createCachedData());
  }
});
const image = join(root, "kernel", "build", "hello.iso");
process.argv = [process.argv[0], "solo5-kvm", image, "--accel", "emu"];
require(join(root, "dist", "solo5-kvm.js"));
