import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "..");

/**
 * Who may import whom. A folder may always import itself; `node` stands for Node's own modules and
 * npm packages.
 */
const ALLOWED: Readonly<Record<string, readonly string[]>> = {
  core: [],
  devices: ["core"],
  boot: ["core"],
  net: ["core"],
  machine: ["core", "devices", "boot", "net"],
  kvm: ["core"],
  host: ["core", "node"],
  fallback: ["core"],
  debug: ["core", "devices", "boot", "machine", "fallback"],
  assisted: ["core", "kvm", "fallback"],
  "emulated-cpu": ["core", "machine", "fallback"],
  accelerator: ["core", "machine", "kvm", "host", "fallback", "assisted", "emulated-cpu"],
  debugger: ["core", "machine", "debug", "host"],
  index: ["core", "devices", "boot", "machine", "host", "accelerator"],
  web: ["core", "boot", "net", "machine", "debug", "emulated-cpu", "node"],
  cli: ["core", "boot", "net", "machine", "debug", "host", "kvm", "debugger", "index", "node"],
};

function sources(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return sources(path);
    return path.endsWith(".ts") ? [path] : [];
  });
}

const SOURCES = ["src", "fallback", "web"].flatMap((folder) => sources(join(root, folder)));

/** The part of the house that a file belongs to: `fallback`, `web`, or a folder or file in `src`. */
const partOf = (path: string): string =>
  (
    relative(root, path)
      .replace(/^src\//, "")
      .split("/")[0] ?? ""
  ).replace(/\.ts$/, "");

function importsOf(path: string): string[] {
  const text = readFileSync(path, "utf8");
  const specifiers = [...text.matchAll(/(?:from|import)\s*\(?\s*"([^"]+)"/g)].map(
    (m) => m[1] ?? "",
  );
  return specifiers.map((specifier) =>
    specifier.startsWith(".") ? partOf(resolve(dirname(path), specifier)) : "node",
  );
}

test("every part has a row in the table of who may import whom", () => {
  const parts = new Set(SOURCES.map(partOf));
  expect([...parts].sort()).toEqual(Object.keys(ALLOWED).sort());
});

test.each(SOURCES.map((path) => [relative(root, path), path] as const))(
  "%s imports only what it may",
  (_name, path) => {
    const part = partOf(path);
    const foreign = importsOf(path).filter((target) => target !== part);
    expect(foreign.filter((target) => !ALLOWED[part]?.includes(target))).toEqual([]);
  },
);
