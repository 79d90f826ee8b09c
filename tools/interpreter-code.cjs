// Has V8 of this Node optimise all of the interpreter for long runs, and keeps both in one file, so that they
// always belong together: at the end of the build, and where the package is installed, since another Node's code may be
// of no use. See docs/decisions/0013-two-interpreters.md.
const { spawnSync } = require("node:child_process");
const { existsSync, readFileSync, renameSync, writeFileSync } = require("node:fs");
const { join } = require("node:path");
const v8 = require("node:v8");

const dist = (name) => join(__dirname, "..", "dist", name);
const MODULE = dist("interpreter-inline.wasm");
const CODE = dist("interpreter-inline.code");

function serialiser() {
  v8.setFlagsFromString("--allow-natives-syntax");
  try {
    return new Function("module", "return %SerializeWasmModule(module)");
  } catch {
    // A V8 without it.
    return undefined;
  }
}

function keep() {
  const serialise = serialiser();
  if (serialise === undefined) return;
  const bytes = readFileSync(MODULE);
  // V8 optimises at once, and leaves no function for later. Nothing in the interpreter recurses, and it comes back
  // to JavaScript for each slice of time, so it needs to look neither at the stack's end nor for interruptions.
  const flags = ["liftoff", "wasm-dynamic-tiering", "wasm-lazy-compilation", "wasm-stack-checks"];
  for (const flag of flags) v8.setFlagsFromString(`--no-${flag}`);
  const interpreter = new WebAssembly.Module(bytes);
  // V8 compares flags when it takes the code.
  for (const flag of flags) v8.setFlagsFromString(`--${flag}`);
  const head = Buffer.from(`${process.version} ${process.arch} ${bytes.length}\n`);
  writeFileSync(`${CODE}.new`, Buffer.concat([head, bytes, Buffer.from(serialise(interpreter))]));
  renameSync(`${CODE}.new`, CODE);
}

// Where V8 does not like to be asked for it, it ends the process: then all goes without.
const HERE = "--here";
if (process.argv.includes(HERE)) keep();
// Before the first build there is nothing to optimise.
else if (existsSync(MODULE)) {
  const { status } = spawnSync(process.execPath, [__filename, HERE], { stdio: "ignore" });
  if (status !== 0) console.error("No machine code of the interpreter: long runs begin slower");
}
