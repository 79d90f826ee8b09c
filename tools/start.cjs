#!/usr/bin/env node
// Starts the command line from its bundle, with the code that V8 made of it when it was built
// (`tools/bundle.js`). Another V8 than that refuses the code and compiles the bundle as usual.
// A CommonJS module: loading it as an ES module would take milliseconds longer.
const { readFileSync } = require("node:fs");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Runs a bundle, which sets `module.exports`; `require` finds what is not in it. */
function run(name, module, require) {
  const filename = `${__dirname}/${name}.js`;
  const cachedData = readIfThere(`${__dirname}/${name}.code`);
  // Only comments have anything outside of ASCII, and one byte a character is quicker to take in.
  const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData });
  script.runInThisContext()(module, require, pathToFileURL(__filename).href);
}

/** What `load` gives, loaded when something of it is first used. */
function lazily(load) {
  let loaded;
  return new Proxy(
    {},
    {
      get(_, name) {
        loaded ??= load();
        return loaded[name];
      },
    },
  );
}

// The processor in TypeScript is a bundle of its own: with KVM it is hardly ever used. What the
// bundles have of each other goes by paths in the package.
const FALLBACK = "fallback/index.ts";
const command = {};
const fallback = {};
const lazyFallback = lazily(() => {
  run("fallback", fallback, (id) => command.exports[id] ?? builtIn(id));
  withholdOptimizer();
  return fallback.exports;
});

/**
 * How much bytecode a function executes, in bytes, before V8 considers to optimise it: three times as
 * much as V8's own figure. What decodes the guest's first instructions is hot at once: optimising it
 * was a quarter of all processor time of a short run, and the end waited for that.
 */
const INTERRUPT_BUDGET = 200_000;

/** Not before the bundles are loaded: V8 takes compiled code only with the flags it was made with. */
function withholdOptimizer() {
  require("node:v8").setFlagsFromString(`--interrupt-budget=${INTERRUPT_BUDGET}`);
}

// They bring Node's streams, which take as long to load as the rest of the command.
const SLOW = ["node:net", "node:tty"];
const builtIn = (id) => (SLOW.includes(id) ? lazily(() => require(id)) : require(id));

run("bundle", command, (id) => (id === FALLBACK ? lazyFallback : builtIn(id)));
