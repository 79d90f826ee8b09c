// Bundles the browser's version into dist/web/: the page, the worker that runs guests, the interpreters and
// some images. With `--serve [PORT]` it also serves them, on this machine only.
import { copyFileSync, mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { context } from "esbuild";
import { interpreterModule } from "../dist/fallback/index.js";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const folder = join(root, "dist", "web");
const IMAGES = ["kernel.iso", "hello.iso", "time.iso", "exception.iso"];
const DEFAULT_PORT = 8080;

mkdirSync(join(folder, "images"), { recursive: true });
for (const image of IMAGES) {
  copyFileSync(join(root, "kernel", "build", image), join(folder, "images", image));
}
copyFileSync(join(root, "web", "page", "index.html"), join(folder, "index.html"));
for (const inline of [false, true]) {
  const name = inline ? "interpreter-inline.wasm" : "interpreter.wasm";
  writeFileSync(join(folder, name), interpreterModule(inline));
}
const bundler = await context({
  absWorkingDir: root,
  entryPoints: { page: "web/page/page.ts", worker: "web/worker/worker.ts" },
  outdir: folder,
  bundle: true,
  format: "esm",
  // Names stay, for reports of errors.
  minifyWhitespace: true,
  target: "es2023",
  logLevel: "warning",
});
await bundler.rebuild();
const serve = process.argv.indexOf("--serve");
if (serve < 0) await bundler.dispose();
else {
  const port = process.argv[serve + 1] ?? DEFAULT_PORT;
  try {
    const server = await bundler.serve({ servedir: folder, host: "127.0.0.1", port: Number(port) });
    console.log(`http://127.0.0.1:${server.port}/ (C-c ends it)`);
  } catch (error) {
    console.error(`cannot serve at port ${port}: ${error.message}`);
    process.exit(1);
  }
}
