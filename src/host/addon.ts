import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { HostError } from "../core/errors.ts";

let root: string | undefined;

/** Where the package's files are, both from `src/` and from the bundle in `dist/`. */
export function packageRoot(): string {
  root ??= findPackageRoot();
  return root;
}

function findPackageRoot(): string {
  let folder = dirname(fileURLToPath(import.meta.url));
  // `dist` has a package.json of its own, for Node.
  while (!existsSync(join(folder, "binding.gyp"))) {
    const parent = dirname(folder);
    if (parent === folder) throw new HostError("the package's own folder cannot be found");
    folder = parent;
  }
  return folder;
}

let loaded: unknown;

/**
 * The native addon, typed by the part that uses it.
 * @throws HostError when it is not there or does not load
 */
export function loadAddon<Exports>(): Exports {
  if (loaded === undefined) {
    const path = join(packageRoot(), "build", "Release", "solo5_kvm.node");
    if (!existsSync(path)) {
      throw new HostError("the native addon is not built", {
        remedy: "run `npm run build:addon` (it needs a C++ compiler, make and python3)",
      });
    }
    try {
      const addon = { exports: {} };
      // What `require` does; to make one here would load more of Node.
      process.dlopen(addon, path);
      loaded = addon.exports;
    } catch (cause) {
      throw new HostError("the native addon does not load", {
        remedy: "build it for this Node with `npm run build:addon`",
        cause,
      });
    }
  }
  return loaded as Exports;
}

/** As {@link loadAddon}; undefined when it is not there or does not load. */
export function optionalAddon<Exports>(): Exports | undefined {
  try {
    return loadAddon<Exports>();
  } catch (error) {
    if (error instanceof HostError) return undefined;
    throw error;
  }
}
