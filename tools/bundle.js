// Bundles the command line into dist/: `bundle.js` and, for the processor in TypeScript,
// `fallback.js`, each as one function, and `solo5-kvm.js`, which starts it; and the interpreters.
import { chmodSync, copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = (name) => join(root, "dist", name);
const common = {
  absWorkingDir: root,
  bundle: true,
  // Names stay, for reports of errors.
  minifyWhitespace: true,
  platform: "node",
  target: "node20",
  logLevel: "warning",
};
const BUNDLES = ["bundle", "fallback"];

/** Leaves modules to another bundle: by their paths in the package, which `found` collects. */
const elsewhere = (filter, found = new Set()) => ({
  name: "elsewhere",
  setup({ onResolve }) {
    onResolve({ filter }, ({ path, resolveDir }) => {
      const id = relative(root, join(resolveDir, path));
      found.add(id);
      return { path: id, external: true };
    });
  },
});

/** What commander would load of Node for executable subcommands, which we have none of. */
const withoutChildProcess = {
  name: "without-child-process",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:child_process$/ }, ({ path }) => ({ path, namespace: "nothing" }));
    onLoad({ filter: /^/, namespace: "nothing" }, () => ({ contents: "" }));
  },
};

const bundle = (name, options) =>
  build({
    ...common,
    outfile: dist(`${name}.js`),
    format: "cjs",
    banner: { js: "(function (module, require, moduleUrl) {" },
    footer: { js: "})" },
    define: { "import.meta.url": "moduleUrl" },
    // In a script there is no `import()`.
    supported: { "dynamic-import": false },
    ...options,
  });

// Whoever starts the program meanwhile must not find new text with old code.
for (const name of BUNDLES) rmSync(dist(`${name}.code`), { force: true });
const shared = new Set();
await bundle("fallback", {
  entryPoints: ["fallback/index.ts"],
  plugins: [elsewhere(/^\.\.?\/.*\bsrc\//, shared)],
});
await bundle("bundle", {
  stdin: {
    contents: [
      ...[...shared].map((id) => `export * as "${id}" from "./${id}";`),
      'import "./src/cli/main.ts";',
    ].join("\n"),
    resolveDir: root,
  },
  plugins: [elsewhere(/\/fallback\/index\.ts$/), withoutChildProcess],
});
// The command is a CommonJS module among the ES modules of the library.
copyFileSync(join(root, "tools", "start.cjs"), dist("solo5-kvm.js"));
writeFileSync(dist("package.json"), '{ "type": "commonjs" }\n');
for (const folder of ["src", "fallback"]) {
  mkdirSync(dist(folder), { recursive: true });
  writeFileSync(dist(`${folder}/package.json`), '{ "type": "module" }\n');
}
// The same program under the name of Solo5's tender, whose options it takes then.
copyFileSync(dist("solo5-kvm.js"), dist("solo5-hvt.js"));
for (const command of ["solo5-kvm.js", "solo5-hvt.js"]) chmodSync(dist(command), 0o755);

// The interpreters are generated from the table of instructions: once here, and not at every start.
const generator = await build({
  ...common,
  entryPoints: ["fallback/index.ts"],
  write: false,
  format: "esm",
});
const source = Buffer.from(generator.outputFiles[0].contents).toString("base64");
const { interpreterModule } = await import(`data:text/javascript;base64,${source}`);
writeFileSync(dist("interpreter.wasm"), interpreterModule(false, { shared: true }));
writeFileSync(dist("interpreter-inline.wasm"), interpreterModule(true, { shared: true }));
