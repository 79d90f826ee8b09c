/** `qXfer:OBJECT:read:ANNEX:OFFSET,LENGTH`: documents in pieces. */
import { parseLength, utf8 } from "./hex.ts";
import { latin1, PACKET_SIZE } from "./packet.ts";
import { ERROR, type Handler, type Handlers, type Session, UNSUPPORTED } from "./session.ts";
import { THREAD } from "./stop-reply.ts";
import { targetDescription } from "./target-description.ts";

/** @returns undefined for an annex that there is not */
type Document = (session: Session, annex: string) => string | undefined;

/**
 * Both halves of the canonical addresses: where there is memory is a matter of the page tables, at
 * the time that somebody asks.
 */
const MEMORY_MAP = [
  '<?xml version="1.0"?>',
  "<memory-map>",
  '<memory type="ram" start="0x0" length="0x800000000000"/>',
  '<memory type="ram" start="0xffff800000000000" length="0x800000000000"/>',
  "</memory-map>",
  "",
].join("\n");

const THREADS = `<?xml version="1.0"?>\n<threads><thread id="${THREAD}" core="0" name="cpu0"/></threads>\n`;

const DOCUMENTS: Readonly<Record<string, Document>> = {
  features: (_session, annex) => (annex === "target.xml" ? targetDescription() : undefined),
  "memory-map": () => MEMORY_MAP,
  threads: () => THREADS,
  "exec-file": ({ target }) => target.executable && latin1(utf8(target.executable.path)),
};

/** Escapes may double the bytes. */
const LONGEST_PIECE = PACKET_SIZE / 2 - 1;

const qXfer: Handler = (session, rest) => {
  const [, object = "", operation, annex = "", window = ""] = rest.split(":");
  const document = Object.hasOwn(DOCUMENTS, object) ? DOCUMENTS[object] : undefined;
  if (document === undefined || operation !== "read") return UNSUPPORTED;
  const text = document(session, annex);
  const [offset, length] = window.split(",").map(parseLength);
  if (text === undefined || offset === undefined || length === undefined) return ERROR;
  const piece = text.slice(offset, offset + Math.min(length, LONGEST_PIECE));
  return `${offset + piece.length < text.length ? "m" : "l"}${piece}`;
};

export const TRANSFER_HANDLERS: Handlers = { qXfer };
