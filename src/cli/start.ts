#!/usr/bin/env node
/**
 * Starts the command line from its bundle, with the code that V8 made of it when it was built
 * (`tools/bundle.js`). Another V8 than that refuses the code and compiles the bundle as usual.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { Script } from "node:vm";

/** The bundle's value. `moduleUrl` is what its modules see as `import.meta.url`. */
type Bundle = (require: NodeJS.Require, moduleUrl: string) => void;

const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

function readIfThere(path: string): Buffer | undefined {
  try {
    return readFileSync(path);
  } catch {
    return undefined;
  }
}

const filename = beside("bundle.js");
const cachedData = readIfThere(beside("bundle.code"));
// Only comments have anything outside of ASCII, and one byte a character is quicker to take in.
const script = new Script(readFileSync(filename, "latin1"), { filename, cachedData });
(script.runInThisContext() as Bundle)(createRequire(import.meta.url), import.meta.url);
