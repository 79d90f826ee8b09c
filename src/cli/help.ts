import { type Command, Help } from "commander";

const EXAMPLES = `
Examples:
  solo5-kvm kernel.iso --ping 5
  solo5-kvm run app.iso -m 128 --net service0=tap:veth0 --block disk.img -- --verbose

The exit status is the guest's own, or one of those that the README lists.`;

/**
 * Makes the program's help show at once what a newcomer needs: that `run` may be left out, and its
 * options beside the commands.
 */
export function completeHelp(program: Command, run: Command): void {
  const plain = new Help();
  program
    .usage("[run] <image> [options] [-- guest arguments]\n       solo5-kvm <command> ...")
    .configureHelp({
      visibleOptions: (command) => [
        ...(command === program ? run.options : []),
        ...plain.visibleOptions(command),
      ],
    })
    .addHelpText("after", EXAMPLES);
}
