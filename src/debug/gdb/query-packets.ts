/** `q` and `Q`: what debuggers ask about the target, and settings. */
import { hexToText, textToHex } from "./hex.ts";
import { PACKET_SIZE } from "./packet.ts";
import { ERROR, type Handlers, OK, UNSUPPORTED } from "./session.ts";
import { stopReply, THREAD } from "./stop-reply.ts";

/** What LLDB asks instead of reading the target description's architecture. */
const TRIPLE = `triple:${textToHex("x86_64-unknown-none-elf")};endian:little;ptrsize:8;`;

/** Output of a command at most: it is one packet. */
const LONGEST_OUTPUT = PACKET_SIZE / 2 - 64;

const once = (reply: string) => () => reply;

export const QUERY_HANDLERS: Handlers = {
  qSupported: (session, rest) => {
    const theirs = rest.slice(1).split(";");
    session.tellsBreakpoints = theirs.includes("swbreak+") && theirs.includes("hwbreak+");
    const executable = session.target.executable === undefined ? [] : ["qXfer:exec-file:read+"];
    return [
      `PacketSize=${PACKET_SIZE.toString(16)}`,
      ...["features", "memory-map", "threads"].map((object) => `qXfer:${object}:read+`),
      ...executable,
      ...["QStartNoAckMode", "vContSupported", "swbreak", "hwbreak"].map((name) => `${name}+`),
      "binary-upload+",
    ].join(";");
  },

  QStartNoAckMode: (session) => {
    session.noAcknowledgements = true;
    return OK;
  },

  /** All threads stop together here. */
  QNonStop: (_session, rest) => (rest === ":0" ? OK : UNSUPPORTED),
  vMustReplyEmpty: once(UNSUPPORTED),

  qAttached: once("1"),
  qC: once(`QC${THREAD}`),
  qfThreadInfo: once(`m${THREAD}`),
  qsThreadInfo: once("l"),
  qThreadExtraInfo: once(textToHex("processor 0")),
  qThreadStopInfo: stopReply,
  H: once(OK),
  T: once(OK),

  /** The program is where its file says. */
  qOffsets: once("Text=0;Data=0;Bss=0"),
  qSymbol: once(OK),

  qRcmd: ({ target }, rest) => {
    const command = hexToText(rest.slice(1));
    if (command === undefined) return ERROR;
    const output = target.monitor(command);
    const cut = output.length > LONGEST_OUTPUT;
    const text = cut ? `${output.slice(0, LONGEST_OUTPUT)}\n… (too long)\n` : output;
    return text === "" ? OK : textToHex(text);
  },

  qHostInfo: once(`${TRIPLE}ostype:unknown;vendor:unknown;`),
  qProcessInfo: once(`pid:1;parent-pid:1;${TRIPLE}`),
};
