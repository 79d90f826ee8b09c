import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { MemorySource } from "../../../src/boot/byte-source.ts";
import type { ProcessorState } from "../../../src/core/processor-state.ts";
import { encodePacket, latin1, PACKET_SIZE } from "../../../src/debug/gdb/packet.ts";
import { REGISTERS, registerNumber } from "../../../src/debug/gdb/registers.ts";
import { GdbStub } from "../../../src/debug/gdb/stub.ts";
import type { DebugTarget, OfferedFile, Region } from "../../../src/debug/gdb/target.ts";
import type { Resumption } from "../../../src/machine/run-control.ts";
import { stateAt } from "../../support/scripted-cpu.ts";

const MEMORY = 0x1_0000;

/** A guest that does nothing, and remembers what it is told. */
class FakeTarget implements DebugTarget {
  standing = true;
  state: ProcessorState = stateAt(0x1234);
  readonly memory = new Uint8Array(MEMORY);
  readonly executable: OfferedFile = {
    path: "/images/kernel é.elf",
    bytes: new MemorySource(Uint8Array.from({ length: 300 }, (_, i) => i)),
  };
  readonly log: string[] = [];
  interruptsWhileStepping = false;
  resumption: Resumption | undefined;

  readState(): ProcessorState {
    return this.state;
  }

  writeState(state: ProcessorState): void {
    this.state = state;
  }

  readMemory(linear: bigint, length: number): Uint8Array {
    const start = linear < MEMORY ? Number(linear) : MEMORY;
    return this.memory.slice(start, start + length);
  }

  writeMemory(linear: bigint, bytes: Uint8Array): boolean {
    if (linear + BigInt(bytes.length) > MEMORY) return false;
    this.memory.set(bytes, Number(linear));
    return true;
  }

  region(linear: bigint): Region {
    return { start: linear, size: 0x1000n, permissions: "rw" };
  }

  stop(): void {
    this.log.push("stop");
  }

  resume(resumption: Resumption): void {
    this.standing = false;
    this.resumption = resumption;
    this.log.push("resume");
  }

  release(): void {
    this.standing = false;
    this.log.push("release");
  }

  reset(): void {
    this.log.push("reset");
  }

  kill(): void {
    this.log.push("kill");
  }

  monitor(command: string): string {
    return `you said ${command}\n`;
  }
}

const hex = (text: string): string => Buffer.from(text).toString("hex");

describe("a debugger's session", () => {
  let target: FakeTarget;
  let stub: GdbStub;
  let sent: string;
  let closed: boolean;

  function connect(): void {
    stub = new GdbStub({
      target,
      send: (bytes) => {
        sent += latin1(bytes);
      },
      close: () => {
        closed = true;
      },
    });
  }

  beforeEach(() => {
    target = new FakeTarget();
    sent = "";
    closed = false;
    connect();
  });

  /** The reply to a packet, out of its frame; undefined if there is none. */
  function ask(packet: string): string | undefined {
    sent = "";
    stub.receive(encodePacket(packet));
    const reply = /^\+\$(.*)#[0-9a-f]{2}$/s.exec(sent)?.[1];
    return reply?.replace(/\}(.)/gs, (_, c: string) => String.fromCharCode(c.charCodeAt(0) ^ 0x20));
  }

  const stopAtDebug = (cause: "breakpoint" | "step"): void => {
    sent = "";
    target.standing = true;
    stub.stopped({ kind: "debug", cause, watchpoint: undefined });
  };

  test("begins with the guest being stopped, and tells why it stands", () => {
    expect(target.log).toEqual(["stop"]);
    expect(ask("?")).toMatch(/^T05thread:1;10:3412000000000000;/);
  });

  test("what is unknown gets the empty reply", () => {
    for (const packet of ["vMustReplyEmpty", "qUnknown:1", "Q", "v", "B", "\x80", ""]) {
      expect(ask(packet), packet).toBe("");
    }
    expect(ask("qXfer:auxv:read::0,100")).toBe("");
    expect(ask("qXfer:toString:read::0,100")).toBe("");
    expect(ask("vFile:toString:0")).toBe("F-1,58");
  });

  test("damaged packets are asked for again, and replies repeated", () => {
    stub.receive(Uint8Array.from(Buffer.from("$?#00")));
    expect(sent).toBe("-");
    const reply = ask("qAttached");
    sent = "";
    stub.receive(Uint8Array.from(Buffer.from("-")));
    expect(sent).toBe(`$${reply}#31`);
  });

  test("nothing is acknowledged once that is agreed upon", () => {
    expect(ask("QStartNoAckMode")).toBe("OK");
    sent = "";
    stub.receive(encodePacket("qAttached"));
    expect(sent).toBe("$1#31");
  });

  test("registers are read and written, all and one by one", () => {
    const all = ask("g") ?? "";
    expect(all.length).toBe(REGISTERS.reduce((sum, { bits }) => sum + bits / 4, 0));
    const rip = registerNumber("rip").toString(16);
    expect(ask(`p${rip}`)).toBe("3412000000000000");
    expect(ask(`P${rip}=7856000000000000`)).toBe("OK");
    expect(target.state.registers.rip).toBe(0x5678n);
    expect(ask(`G${all}`)).toBe("OK");
    expect(target.state.registers.rip).toBe(0x1234n);
    expect(ask("P10=12")).toBe("E16");
    expect(ask("pffff")).toBe("E16");
    expect(ask("Gzz")).toBe("E16");
  });

  test("every register comes back as it was written", () => {
    const { registers } = target.state;
    const cs = { ...registers.cs, attributes: 0x2000 };
    target.state = { ...target.state, registers: { ...registers, cs, efer: 0x500n } };
    REGISTERS.forEach((spec, number) => {
      const digits = "5a".repeat(spec.bits / 8);
      ask(`P${number.toString(16)}=${digits}`);
      const narrow = ["cs", "ss", "ds", "es", "fs", "gs", "ldtr", "tr", "eflags", "ftag", "fop"];
      const cut = [...narrow, "fctrl", "fstat", "gdtr_limit", "idtr_limit", "apic_base"];
      if (!cut.includes(spec.name)) {
        expect(ask(`p${number.toString(16)}`), spec.name).toBe(digits);
      }
    });
  });

  test("the program counter is a linear address", () => {
    const { registers } = target.state;
    const cs = { ...registers.cs, base: 0xf0000n };
    target.state = { ...target.state, registers: { ...registers, cs, rip: 0xfff0n } };
    const rip = registerNumber("rip").toString(16);
    expect(ask(`p${rip}`)).toBe("f0ff0f0000000000");
    expect(ask(`P${rip}=0000100000000000`)).toBe("OK");
    expect(target.state.registers.rip).toBe(0x10000n);
  });

  test("memory is read and written, in hexadecimal and in binary", () => {
    expect(ask("M100,3:414243")).toBe("OK");
    expect(ask("m100,4")).toBe("41424300");
    expect(ask("X200,4:}\x03\x04\x7d#")).not.toBe("OK");
    expect(ask("X200,2:$#")).toBe("OK");
    expect(ask("x200,2")).toBe("b$#");
    expect(ask("X0,0:")).toBe("OK");
    // As much as there is; nothing where there is none.
    expect(ask(`m${(MEMORY - 2).toString(16)},10`)).toBe("0000");
    expect(ask("mffffffffffffffff,1")).toBe("E0e");
    expect(ask("Mffff,2:0000")).toBe("E0e");
    expect(ask("m0,ffffff")?.length).toBe(PACKET_SIZE);
    for (const bad of ["m", "m,", "mxyz,1", "m0,-1", "M0,2:00", "M0,1", "X0"]) {
      expect(ask(bad), bad).toBe("E16");
    }
  });

  test("breakpoints and watchpoints are what the guest then stops at", () => {
    for (const packet of ["Z0,1000,1", "Z1,2000,1", "Z1,2000,1", "Z2,3000,8", "Z3,4000,1"]) {
      expect(ask(packet)).toBe("OK");
    }
    expect(ask("z1,2000,1")).toBe("OK");
    expect(ask("Z5,0,0")).toBe("");
    expect(ask("Z2,3000,0")).toBe("E16");
    expect(ask("vCont;c")).toBeUndefined();
    expect(target.resumption?.stops).toEqual({
      breakpoints: new Set([0x1000n]),
      watchpoints: [
        { address: 0x3000n, length: 8, kind: "write" },
        { address: 0x4000n, length: 1, kind: "read" },
      ],
      step: false,
    });
  });

  test("stop replies say what they can, to whom wants to know", () => {
    ask("Z1,1234,1");
    ask("c");
    stopAtDebug("breakpoint");
    expect(sent).toMatch(/^\$T05thread:1;10:/);
    expect(ask("qSupported:swbreak+;hwbreak+;xmlRegisters=i386")).toMatch(/PacketSize=4000;/);
    ask("c");
    stopAtDebug("breakpoint");
    expect(sent).toContain("thread:1;hwbreak:;");
    ask("c");
    sent = "";
    target.standing = true;
    const watchpoint = { address: 0x3000n, length: 8, kind: "write" } as const;
    stub.stopped({ kind: "debug", cause: "watchpoint", watchpoint });
    expect(sent).toContain("watch:3000;");
  });

  test("going on, in every way that there is", () => {
    const ways: [string, boolean][] = [
      ...([
        ["c", false],
        ["s", true],
        ["C05", false],
        ["S05;2000", true],
      ] as const),
      ...([
        ["vCont;c", false],
        ["vCont;s:1;c", true],
        ["vCont;S05:1", true],
      ] as const),
      ...([
        ["vCont;r1000,2000:1;c", true],
        ["c4000", false],
      ] as const),
    ].map(([packet, step]) => [packet, step]);
    for (const [packet, step] of ways) {
      expect(ask(packet), packet).toBeUndefined();
      expect(target.resumption?.stops.step, packet).toBe(step);
      stopAtDebug("step");
    }
    expect(target.state.registers.rip).toBe(0x4000n);
    ask("vCont;r1000,2000:1");
    expect(target.resumption?.range).toEqual({ start: 0x1000n, end: 0x2000n });
  });

  test("Ctrl-C stops a guest that runs, and is nothing to one that stands", () => {
    stub.receive(Uint8Array.of(3));
    expect(target.log).toEqual(["stop"]);
    ask("c");
    stub.receive(Uint8Array.of(3));
    expect(target.log).toEqual(["stop", "resume", "stop"]);
    sent = "";
    target.standing = true;
    stub.stopped({ kind: "asked" });
    expect(sent).toMatch(/^\$T02/);
  });

  test("packets that come while the guest runs wait for it, within bounds", () => {
    ask("c");
    sent = "";
    for (let i = 0; i < 1000; i++) stub.receive(encodePacket("qC"));
    expect(sent).toBe("+".repeat(1000));
    stopAtDebug("step");
    expect(sent.match(/QC1/g)?.length).toBe(64);
  });

  test("the end of the run is told", () => {
    ask("c");
    sent = "";
    stub.ended({ kind: "exit", status: 3 });
    expect(sent).toBe("$W03#ba");
    expect(closed).toBe(true);
  });

  test("a crash is a signal", () => {
    ask("c");
    sent = "";
    target.standing = true;
    const { registers } = target.state;
    stub.stopped({ kind: "crash", outcome: { kind: "triple-fault", registers, exceptions: [] } });
    expect(sent).toMatch(/^\$T0b/);
  });

  test("detached or gone, the guest goes on without stops", () => {
    ask("Z0,1000,1");
    expect(ask("D")).toBe("OK");
    expect(target.log.at(-1)).toBe("release");
    expect(closed).toBe(true);
    sent = "";
    stub.receive(encodePacket("qC"));
    expect(sent).toBe("");
    stub.disconnected();
    expect(target.log.filter((entry) => entry === "release").length).toBe(1);
  });

  test("killing and starting anew", () => {
    ask("k");
    ask("R00");
    expect(ask("vKill;1")).toBe("OK");
    expect(target.log).toEqual(["stop", "kill", "reset", "kill"]);
  });

  test("documents come in pieces", () => {
    let text = "";
    let piece: string | undefined = "m";
    while (piece?.startsWith("m")) {
      piece = ask(`qXfer:features:read:target.xml:${text.length.toString(16)},300`);
      text += piece?.slice(1);
    }
    expect(text).toMatch(/^<\?xml/);
    expect(text).toMatch(/<\/target>\n$/);
    expect(text.match(/<reg /g)?.length).toBe(REGISTERS.length);
    expect(ask("qXfer:features:read:other.xml:0,100")).toBe("E16");
    expect(ask("qXfer:memory-map:read::0,1000")).toMatch(/^l<\?xml/);
    expect(ask("qXfer:threads:read::0,1000")).toContain('<thread id="1"');
    expect(ask("qXfer:features:write:target.xml:0:x")).toBe("");
  });

  test("the executable is offered, and it alone can be read", () => {
    const path = Buffer.from(ask("qXfer:exec-file:read:1:0,100")?.slice(1) ?? "", "latin1");
    expect(path.toString("utf8")).toBe("/images/kernel é.elf");
    expect(ask("vFile:setfs:0")).toBe("F0");
    expect(ask(`vFile:open:${hex("/etc/passwd")},0,0`)).toBe("F-1,2");
    expect(ask(`vFile:open:${hex("/images/kernel é.elf")},1,0`)).toBe("F-1,d");
    const handle = ask(`vFile:open:${hex("/images/kernel é.elf")},0,0`)?.slice(1);
    expect(ask(`vFile:fstat:${handle}`)?.length).toBe("F40;".length + 64);
    expect(ask(`vFile:pread:${handle},4,20`)).toBe("F4;\x20\x21\x22\x23");
    expect(ask(`vFile:pread:${handle},100,12b`)).toBe("F1;\x2b");
    expect(ask(`vFile:pread:${handle},100,fffffffff`)).toBe("F0;");
    expect(ask(`vFile:close:${handle}`)).toBe("F0");
    expect(ask(`vFile:pread:${handle},4,0`)).toBe("F-1,9");
  });

  test("handles of files are bounded", () => {
    const open = `vFile:open:${hex("/images/kernel é.elf")},0,0`;
    for (let i = 0; i < 16; i++) expect(ask(open)).toMatch(/^F[0-9a-f]+$/);
    expect(ask(open)).toBe("F-1,18");
  });

  test("monitor commands", () => {
    expect(ask(`qRcmd,${hex("info cpu")}`)).toBe(hex("you said info cpu\n"));
    expect(ask("qRcmd,4")).toBe("E16");
  });

  test("10,000 random packets and as much garbage do no harm", () => {
    const names = ["m", "M", "x", "X", "g", "G", "p", "P", "Z", "z", "vCont;", "vFile:open:", "q"];
    const more = ["qXfer:features:read:", "qXfer:exec-file:read:", "vFile:pread:", "H", "T", "?"];
    const queries = ["qSupported", "qRcmd,", "qMemoryRegionInfo:", "QNonStop", "c", "s", "D", "k"];
    const text = fc.string({
      unit: fc.constantFrom(..."0123456789abcdef,:;=-\x03 zZ"),
      maxLength: 30,
    });
    const packet = fc
      .tuple(fc.constantFrom(...names, ...more, ...queries), text)
      .map(([name, rest]) => encodePacket(name + rest));
    const garbage = fc.uint8Array({ maxLength: 50 });
    const stream = fc.array(fc.oneof(packet, garbage, packet), { minLength: 150, maxLength: 150 });
    fc.assert(
      fc.property(stream, (pieces) => {
        for (const piece of pieces) {
          stub.receive(piece);
          target.standing = true;
          stub.stopped({ kind: "asked" });
          // What it would have sent is of no interest, and it may have detached.
          sent = "";
          if (closed) connect();
          closed = false;
        }
        stub.disconnected();
        connect();
        target.standing = true;
        expect(ask("qC")).toBe("QC1");
      }),
      { numRuns: 100 },
    );
  });
});
