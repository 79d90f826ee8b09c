import { describe, expect, it } from "vitest";
import { command, type Ended, execute, image } from "../support/monitor.ts";
import { missing } from "../support/requirements.ts";
import { exit, print, tinyGuest } from "../support/tiny-guest.ts";

const KERNEL = image("kernel");

describe.skipIf(missing("kvm"))("output that nobody reads", () => {
  /** `command | true`, with the command's own status and standard error. */
  const unread = async (...args: string[]): Promise<Ended> => {
    const script = '{ "$@"; echo "status $?" >&2; } | true';
    return execute(["sh", "-c", script, "sh", ...command(args)]);
  };

  it.each([
    ["a guest that prints and ends", [image("hello")]],
    ["a guest that serves", [KERNEL]],
    ["ping", [KERNEL, "--ping", "3", "--serial", "null"]],
    ["inspect", ["inspect", KERNEL]],
    ["doctor", ["doctor"]],
    ["help", ["--help"]],
  ])("ends %s in silence", async (_name, args) => {
    expect((await unread(...args)).stderr).toBe("status 141\n");
  });

  it("holds up a guest that prints for ever, until somebody reads again", async () => {
    // mov dx, 0x3f8; mov al, "A"; again: out dx, al; jmp again
    const flood = tinyGuest([0x66, 0xba, 0xf8, 0x03, 0xb0, 0x41], [0xee, 0xeb, 0xfd]);
    // The pipe is full from the start; what is read is more than it and all buffers hold.
    const script = '{ head -c 64k /dev/zero; exec "$@"; } | { sleep 2; head -c 150000 | wc -c; }';
    const line = command([flood, "--stats"]);
    const { stdout, stderr } = await execute(["sh", "-c", script, "sh", ...line]);
    expect(stdout.trim()).toBe("150000");
    const idle = Number(/idle ([\d.]+) ms/.exec(stderr)?.[1]);
    expect(idle).toBeGreaterThan(500);
  });

  it("is no reason to fail when it is standard error", async () => {
    const script = '{ "$@" 2>&1 >/dev/null; echo "status $?" >&3; } 3>&2 | true';
    const guest = tinyGuest(print("x"), exit(5));
    const line = command([guest, "--stats"]);
    const { stderr } = await execute(["sh", "-c", script, "sh", ...line]);
    expect(stderr).toBe("status 5\n");
  });

  it("may be closed from the start, as may standard input", async () => {
    const script = '"$@" <&- >&- 2>&-';
    const guest = tinyGuest(print("x"), exit(5));
    const ended = await execute(["sh", "-c", script, "sh", ...command([guest])]);
    expect(ended.status).toBe(5);
  });
});
