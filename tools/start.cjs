#!/usr/bin/env node
// Starts the command line from its bundle, with the code that V8 made of it when it was built
// (`tools/bundle.js`). Another V8 than that refuses the code and compiles the bundle as usual.
// A CommonJS module: loading it as an ES module would take milliseconds longer.
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { pathToFileURL } = require("node:url");
const { Script } = require("node:vm");

function readIfThere(path) {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

const filename = join(__dirname, "bundle.js");
const cachedData = readIfThere(join(__dirname, "bundle.code"));
// Only comments have anything outside of ASCII, and one byte a character is quicker to take in.
const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData });
script.runInThisContext()(require, pathToFileURL(__filename).href);
