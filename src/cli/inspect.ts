import type { Command } from "commander";
import { formatInspection, inspectImage } from "../boot/inspect.ts";
import { ImageFile } from "../host/image-file.ts";

export function addInspectCommand(program: Command): void {
  program
    .command("inspect")
    .description("show what is in an image, and how it would be started")
    .argument("<image>", "ISO image or Multiboot kernel")
    .action((path: string) => {
      const image = new ImageFile(path);
      try {
        process.stdout.write(`${formatInspection(inspectImage(image)).join("\n")}\n`);
      } finally {
        image.close();
      }
    });
}
