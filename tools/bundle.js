// Bundles the command line into dist/: `bundle.js`, what most starts do not need in bundles of its own,
// each as one function, and `solo5-kvm.js`, which starts it; and the interpreters.
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = (name) => join(root, "dist", name);
const common = {
  absWorkingDir: root,
  bundle: true,
  // With its way of class fields: V8 would set each twice, by a function for each class.
  tsconfig: join(root, "tsconfig.base.json"),
  // Names stay, for reports of errors.
  minifyWhitespace: true,
  platform: "node",
  target: "node20",
  logLevel: "warning",
};

/**
 * The bundles, and which modules are the way into each: they are loaded when something of theirs is
 * first used. What else they need is in the first of the bundles that needs it, or if it belongs to
 * `src/core`, in the first.
 */
const BUNDLES = {
  bundle: ["src/cli/main.ts"],
  fallback: ["fallback/index.ts"],
  "fallback.jit": [
    "fallback/jit/discovery.ts",
    "fallback/jit/module.ts",
    "fallback/jit/region-code.ts",
  ],
  "fallback.text": ["fallback/disassembler/disassembler.ts", "fallback/disassembler/operands.ts"],
  "fallback.rare": ["fallback/isa/rare.ts"],
  "fallback.late": ["fallback/interpreter/late-handlers.ts", "fallback/isa/late.ts"],
  "fallback.later": [
    "fallback/cross-check/checked-cpu.ts",
    "fallback/interpreter/module.ts",
    "fallback/isa/table.ts",
  ],
  "bundle.kvm": [
    "src/assisted/assisted-cpu.ts",
    "src/assisted/leaves.ts",
    "src/kvm/kvm-cpu.ts",
    "src/kvm/probe.ts",
  ],
  "bundle.crash": ["src/debug/crash-report.ts", "src/debug/symbols.ts"],
  "bundle.gdb": ["src/debugger.ts"],
  "bundle.debug": [
    "src/cli/trace.ts",
    "src/debug/core-file.ts",
    "src/debug/executable.ts",
    "src/debug/gdb/machine-target.ts",
    "src/debug/gdb/stub.ts",
    "src/debug/monitor/monitor.ts",
    "src/debug/profile.ts",
  ],
  "bundle.gateway": [
    "src/host/outside-sockets.ts",
    "src/host/published-ports.ts",
    "src/net/gateway.ts",
  ],
  "bundle.other": [
    "src/boot/framebuffer.ts",
    "src/boot/grub-cfg.ts",
    "src/boot/inspect-format.ts",
    "src/boot/inspect.ts",
    "src/boot/linux.ts",
    "src/boot/linux-elf.ts",
    "src/boot/multiboot2-info.ts",
    "src/boot/multiboot2.ts",
    "src/boot/pack-iso.ts",
    "src/boot/pvh.ts",
    "src/boot/solo5/boot-info.ts",
    "src/boot/solo5/executable.ts",
    "src/boot/solo5/long-mode.ts",
    "src/cli/solo5-hvt.ts",
    "src/boot/bios/palette.ts",
    "src/boot/bios/vbe.ts",
    "src/boot/bios/vbe-modes.ts",
    "src/devices/ata/ata-disk.ts",
    "src/devices/video/dispi.ts",
    "src/devices/virtio/block.ts",
    "src/devices/virtio/console.ts",
    "src/devices/virtio/entropy.ts",
    "src/host/block-file.ts",
    "src/host/net-setup.ts",
    "src/host/png-file.ts",
    "src/host/pcap-file.ts",
    "src/host/tap.ts",
    "src/machine/hvt-board.ts",
    "src/net/ping.ts",
  ],
};

/** By module: the bundle that has it. */
const owners = new Map();
for (const [name, modules] of Object.entries(BUNDLES)) {
  for (const id of modules) owners.set(id, name);
}
/** By bundle: the modules that others get from it, and which names of each. */
const shared = new Map(
  Object.entries(BUNDLES).map(([name, ids]) => [name, new Map(ids.map((id) => [id, new Set()]))]),
);

/** Notes what a bundle uses of others. */
function noteUses(text) {
  for (const [, variable, owner, id] of text.matchAll(/(\w+)=require\("([^"!]+)!([^"]+)"\)/g)) {
    const names = shared.get(owner).get(id) ?? new Set();
    shared.get(owner).set(id, names);
    for (const [, name] of text.matchAll(new RegExp(`\\b${variable}\\.(\\w+)`, "g")))
      names.add(name);
  }
}

/** Leaves to other bundles what they have: it is required as `bundle!module`. */
const elsewhere = (name) => ({
  name: "elsewhere",
  setup({ onResolve }) {
    onResolve({ filter: /^\.\.?\/.*\.ts$/ }, ({ path, resolveDir }) => {
      const id = relative(root, join(resolveDir, path));
      const owner = owners.get(id) ?? (id.startsWith("src/core/") ? "bundle" : name);
      if (owner === name) return undefined;
      return { path: `${owner}!${id}`, external: true };
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

/**
 * The module that gives others what they use: values, since esbuild's own exports are a function for
 * each name. It comes first, because `main.ts` does not return before it needs other bundles.
 * @param whole gives all there is
 */
const sharing = (name, whole) => ({
  name: "sharing",
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^sharing$/ }, ({ path }) => ({ path, namespace: "sharing" }));
    onLoad({ filter: /^/, namespace: "sharing" }, () => {
      const modules = [...shared.get(name)];
      const given = modules.map(([id, names], i) => {
        const values = [...names].map((each) => `${each}: module${i}.${each}`);
        return `"${id}": ${whole ? `module${i}` : `{ ${values.join()} }`}`;
      });
      const imports = modules.map(([id], i) => `import * as module${i} from "./${id}";`);
      return { contents: `${imports.join("\n")}\nshare({ ${given.join()} });`, resolveDir: root };
    });
  },
});

const bundle = (name, { whole = false, ...options }) =>
  build({
    ...common,
    outfile: dist(`${name}.js`),
    format: "cjs",
    banner: { js: "(function (share, require, moduleUrl) {" },
    footer: { js: "})" },
    define: { "import.meta.url": "moduleUrl" },
    // In a script there is no `import()`.
    supported: { "dynamic-import": false },
    stdin: {
      contents: `import "sharing"; ${name === "bundle" ? 'import "./src/cli/main.ts";' : ""}`,
      resolveDir: root,
    },
    plugins: [sharing(name, whole), elsewhere(name), withoutChildProcess],
    ...options,
  });

// Whoever starts the program meanwhile must not find new text with old code.
const current = new Set(Object.keys(BUNDLES).map((name) => `${name}.js`));
for (const file of existsSync(dist(".")) ? readdirSync(dist(".")) : []) {
  if (/^(bundle|fallback)\..*(js|code)$/.test(file) && !current.has(file)) rmSync(dist(file));
  if (file === "interpreter-inline.code") rmSync(dist(file));
}
shared.get("bundle").clear();
const sources = new Set();
const countUses = () =>
  [...shared.values()].reduce((sum, modules) => {
    for (const names of modules.values()) sum += 1 + names.size;
    return sum;
  }, 0);
// First who needs what: then all is known that each has for others. What a later bundle needs of an
// earlier one may need more of a third in its turn.
for (let known = -1; known !== countUses(); ) {
  known = countUses();
  for (const name of Object.keys(BUNDLES)) {
    const { metafile, outputFiles } = await bundle(name, {
      whole: true,
      metafile: true,
      write: false,
    });
    noteUses(outputFiles[0].text);
    for (const id of Object.keys(metafile.inputs)) {
      if (!owners.has(id)) owners.set(id, name);
      if (existsSync(join(root, id))) sources.add(id);
    }
  }
}
const hash = createHash("sha256");
for (const id of sources) hash.update(readFileSync(join(root, id)));
/** What is kept on disk is for the program of the same sources. */
const BUILD = JSON.stringify(hash.digest("hex").slice(0, 16));
for (const name of Object.keys(BUNDLES)) {
  await bundle(name, { define: { "import.meta.url": "moduleUrl", BUILD } });
  const text = readFileSync(dist(`${name}.js`), "utf8");
  // Then all of the other one would be read at once.
  const whole = /__(?:toESM|reExport)\([^()]*require\("([^"]+!.+?)"/.exec(text);
  if (whole !== null) throw new Error(`${name} does not import ${whole[1]} by names`);
  // Then another one would be read with this one.
  const foreign = /\bshare\(\{.*?:import_\w+\.(\w+)/.exec(text);
  if (foreign !== null) throw new Error(`${name} shares ${foreign[1]}, which another has`);
  const before = countUses();
  noteUses(text);
  if (countUses() !== before) throw new Error(`${name} uses of others what they do not share`);
}
// The command is a CommonJS module among the ES modules of the library. The shell, which reads it first,
// takes the beginning of its first comment for arguments of a command that does nothing.
const part = (file) => readFileSync(join(root, "tools", file), "utf8");
const command = `#!/bin/sh\n":" /*\n${part("start.sh")}*/;\n${part("start.cjs")}`;
writeFileSync(dist("solo5-kvm.js"), command);
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
