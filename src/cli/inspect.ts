import type { Command } from "commander";
import { inspectImage } from "../boot/inspect.ts";
import { formatReport } from "../boot/inspect-format.ts";
import { ImageFile } from "../host/image-file.ts";
import { standardOutput } from "./standard-output.ts";

export function addInspectCommand(program: Command): void {
  program
    .command("inspect")
    .description("show what is in an image, and how it would be started")
    .argument("<image>", "ISO image, Multiboot kernel or Solo5 unikernel")
    .action((path: string) => {
      const image = new ImageFile(path);
      try {
        standardOutput.write(`${formatReport(inspectImage(image)).join("\n")}\n`);
      } finally {
        image.close();
      }
    });
}
