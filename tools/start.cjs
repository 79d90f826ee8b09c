// Starts the command line from its bundle, with the code that V8 made of it when it was built
// (`tools/bundle.js`). Another V8 than that refuses the code and compiles the bundle as usual.
// A CommonJS module: loading it as an ES module would take milliseconds longer.
const { readFileSync } = require("node:fs");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

// For machine code of WebAssembly (`fallback/wasm/machine-code.ts`): the shell gives it (`tools/start.sh`), and to ask
// Node for it takes longer. V8 also compares its flags with those of the code that it is given.
const NATIVES = "--allow-natives-syntax";
if (!process.execArgv.includes(NATIVES)) require("node:v8").setFlagsFromString(NATIVES);

function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

/** Runs a bundle, which calls `share` with what it has for others; `require` finds what is not in it. */
function run(name, share, require) {
  const filename = `${__dirname}/${name}.js`;
  const cachedData = readIfThere(`${__dirname}/${name}.code`);
  // Only comments have anything outside of ASCII, and one byte a character is quicker to take in.
  const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData });
  script.runInThisContext()(share, require, pathToFileURL(__filename).href);
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

const bundles = {};

/** A bundle, loaded when it is first asked for. */
function load(name) {
  const share = (modules) => {
    bundles[name] = modules;
  };
  if (bundles[name] === undefined) run(name, share, find);
  return bundles[name];
}

/** What is required: one of Node's modules, or `bundle!module` (`tools/bundle.js`). */
function find(id) {
  const [name, path] = id.split("!");
  if (path === undefined) return builtIn(id);
  return bundles[name]?.[path] ?? lazily(() => load(name)[path]);
}

// They bring Node's streams, which take as long to load as the rest of the command.
const SLOW = ["node:net", "node:tty"];
const builtIn = (id) => (SLOW.includes(id) ? lazily(() => require(id)) : require(id));

load("bundle");
