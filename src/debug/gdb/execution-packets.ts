/** Packets that make the guest go on, or end it. */
import { parseNumber } from "./hex.ts";
import { draftOf, REGISTERS, registerNumber } from "./registers.ts";
import { ERROR, type Handler, type Handlers, OK, type Session } from "./session.ts";
import { stopReply, THREAD } from "./stop-reply.ts";

/** `c` and `s` may say where to go on. */
function jumpTo({ target }: Session, address: string): boolean {
  if (address === "") return true;
  const at = parseNumber(address);
  if (at === undefined) return false;
  const draft = draftOf(target.readState());
  REGISTERS[registerNumber("rip")]?.set(draft, at);
  target.writeState(draft);
  return true;
}

/** @param address where to go on, if it is not empty */
function goOn(session: Session, step: boolean, address: string): string | undefined {
  if (!jumpTo(session, address)) return ERROR;
  session.resume({ step });
  return undefined;
}

const resume =
  (step: boolean): Handler =>
  (session, rest) =>
    goOn(session, step, rest);

/** `C` and `S`: SIGNAL or SIGNAL;ADDRESS. The guest has no signals, so there is none to deliver. */
const resumeWithSignal =
  (step: boolean): Handler =>
  (session, rest) =>
    goOn(session, step, rest.split(";")[1] ?? "");

/** Whether an action is for our thread: its own, all, or any. LLDB writes zeros before it. */
const concerns = (thread: string | undefined): boolean =>
  thread === undefined || [THREAD, "-1", "0"].includes(thread.replace(/^0+(?=.)/, ""));

/** `vCont;ACTION[:THREAD]…`: the first action that concerns the thread counts. */
const vCont: Handler = (session, rest) => {
  const action = rest
    .slice(1)
    .split(";")
    .map((text) => text.split(":"))
    .find(([, thread]) => concerns(thread))?.[0];
  switch (action?.[0]) {
    case "c":
    case "C":
      return goOn(session, false, "");
    case "s":
    case "S":
      return goOn(session, true, "");
    case "r": {
      const [start, end] = action.slice(1).split(",").map(parseNumber);
      if (start === undefined || end === undefined) return ERROR;
      session.resume({ step: true, range: { start, end } });
      return undefined;
    }
    // It stands already.
    case "t":
      return stopReply(session);
    default:
      return ERROR;
  }
};

export const EXECUTION_HANDLERS: Handlers = {
  "?": stopReply,
  c: resume(false),
  s: resume(true),
  C: resumeWithSignal(false),
  S: resumeWithSignal(true),
  "vCont?": () => "vCont;c;C;s;S;t;r",
  vCont,

  k: ({ target }) => {
    target.kill();
    return undefined;
  },

  vKill: ({ target }) => {
    target.kill();
    return OK;
  },

  D: (session) => {
    session.detach();
    return OK;
  },

  /** Only then may the debugger ask for a new start (`R`); here it always may. */
  "!": () => OK,
  R: ({ target }) => {
    target.reset();
    return undefined;
  },
};
