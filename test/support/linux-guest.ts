import { readFileSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { initramfs } from "./initramfs.ts";
import { BUSYBOX } from "./requirements.ts";
import { temporaryFolder } from "./temporary.ts";

export interface LinuxGuest {
  /** Of busybox. */
  readonly applets: readonly string[];
  /** Lines for the shell that is the first process. */
  readonly script: readonly string[];
  readonly modules?: readonly string[];
  readonly files?: Readonly<Record<string, string>>;
}

/** Makes first files: busybox and a script, which a shell on the console comes after. */
export function linuxInitrd({ applets, script, modules = [], files = {} }: LinuxGuest): string {
  const encoder = new TextEncoder();
  const init = [
    "#!/bin/sh",
    "mount -t devtmpfs dev /dev",
    ...modules.map((path) => `insmod /${basename(path)}`),
    ...script,
    "exec sh -i < /dev/console > /dev/console 2>&1\n",
  ].join("\n");
  const path = join(temporaryFolder(), "initrd");
  const archive = initramfs([
    ...["bin", "dev", "etc", "proc"].map((directory) => ({ path: directory })),
    { path: "bin/busybox", content: readFileSync(BUSYBOX) },
    ...["sh", "mount", "insmod", ...applets].map((name) => ({
      path: `bin/${name}`,
      link: "busybox",
    })),
    ...modules.map((module) => ({ path: basename(module), content: readFileSync(module) })),
    ...Object.entries(files).map(([name, text]) => ({ path: name, content: encoder.encode(text) })),
    { path: "init", content: encoder.encode(init) },
  ]);
  writeFileSync(path, archive);
  return path;
}
