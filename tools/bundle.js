// Bundles the command line into dist/: `bundle.js`, the whole of it as one function;
// `bundle.code`, what V8 of this Node compiles it to; and `solo5-kvm.js`, which starts it.
// See docs/decisions/0008-code-cache.md.
import { chmodSync, copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = (name) => join(root, "dist", name);
const common = {
  absWorkingDir: root,
  bundle: true,
  platform: "node",
  target: "node20",
  logLevel: "warning",
};

// Whoever starts the program meanwhile must not find new text with old code.
rmSync(dist("bundle.code"), { force: true });
await build({
  ...common,
  entryPoints: ["src/cli/main.ts"],
  outfile: dist("bundle.js"),
  format: "cjs",
  banner: { js: "(function (require, moduleUrl) {" },
  footer: { js: "})" },
  define: { "import.meta.url": "moduleUrl" },
  // In a script there is no `import()`.
  supported: { "dynamic-import": false },
});
// The command is a CommonJS module among the ES modules of the library.
copyFileSync(join(root, "tools", "start.cjs"), dist("solo5-kvm.js"));
writeFileSync(dist("package.json"), '{ "type": "commonjs" }\n');
for (const folder of ["src", "fallback"]) {
  mkdirSync(dist(folder), { recursive: true });
  writeFileSync(dist(`${folder}/package.json`), '{ "type": "module" }\n');
}
chmodSync(dist("solo5-kvm.js"), 0o755);

// The interpreter is generated from the table of instructions: once here, and not at every start.
const generator = await build({
  ...common,
  entryPoints: ["fallback/index.ts"],
  write: false,
  format: "esm",
});
const source = Buffer.from(generator.outputFiles[0].contents).toString("base64");
const { interpreterModule } = await import(`data:text/javascript;base64,${source}`);
writeFileSync(dist("interpreter.wasm"), interpreterModule());

// Every function is compiled now, and not when it is called first. V8 wants the flags of reading
// the code to be those of writing it.
setFlagsFromString("--no-lazy");
const filename = dist("bundle.js");
const script = new Script(readFileSync(filename, "latin1"), { filename });
setFlagsFromString("--lazy");
writeFileSync(dist("bundle.code"), script.createCachedData());
