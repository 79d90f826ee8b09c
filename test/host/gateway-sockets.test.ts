import { createSocket } from "node:dgram";
import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, Socket } from "node:net";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { HostError } from "../../src/core/errors.ts";
import type { OutsideStream, StreamListener } from "../../src/core/outside.ts";
import { OutsideSockets } from "../../src/host/outside-sockets.ts";
import { openPort } from "../../src/host/published-ports.ts";
import { SocketStream } from "../../src/host/socket-stream.ts";

const HERE = "127.0.0.1";

/** What happens to a connection, in words. */
class Listener implements StreamListener {
  readonly events: string[] = [];
  length = 0;
  #changed: () => void = () => {};

  #note(event: string): void {
    this.events.push(event);
    this.#changed();
  }

  connected = () => this.#note("connected");
  ended = () => this.#note("ended");
  drained = () => this.#note("drained");
  closed = () => this.#note("closed");
  received = (bytes: Uint8Array) => {
    this.length += bytes.length;
    this.#note(bytes.length < 100 ? [...bytes].join() : "much");
  };

  async until(event: string): Promise<void> {
    while (!this.events.includes(event)) {
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }
}

async function listening(server: Server): Promise<number> {
  server.listen(0, HERE);
  await once(server, "listening");
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** A connection to a server of the test, and the server's end. */
async function connected() {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const port = await listening(server);
  const accepted = once(server, "connection");
  const listener = new Listener();
  const stream = new OutsideSockets([]).connect({ address: HERE, port }, listener);
  const [other] = (await accepted) as [Socket];
  other.on("error", () => {});
  onTestFinished(() => void other.destroy());
  await listener.until("connected");
  return { stream, listener, other };
}

describe("a connection to the outside", () => {
  it("carries bytes both ways, ends by halves and is then closed", async () => {
    const { stream, listener, other } = await connected();
    other.write(Uint8Array.of(1, 2, 3));
    other.end();
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(listener.events).toEqual(["connected"]);
    stream.setFlowing(true);
    await listener.until("ended");
    expect(listener.events).toEqual(["connected", "1,2,3", "ended"]);
    stream.write(Uint8Array.of(4, 5), false);
    stream.write(Uint8Array.of(6), true);
    stream.write(Uint8Array.of(7), false);
    stream.end();
    const pieces: Buffer[] = [];
    for await (const piece of other) pieces.push(piece);
    expect([...Buffer.concat(pieces)]).toEqual([4, 5, 6, 7]);
    await listener.until("closed");
  });

  it("sends what was said though nothing hurried it", async () => {
    const { stream, other } = await connected();
    stream.write(Uint8Array.of(9), false);
    other.resume();
    const [bytes] = await once(other, "data");
    expect([...bytes]).toEqual([9]);
    stream.reset();
  });

  it("tells what the other side has not taken, and when it has", async () => {
    const { stream, listener, other } = await connected();
    const piece = new Uint8Array(1460);
    let written = 0;
    while (stream.backlog < 1_000_000) {
      stream.write(piece, false);
      written += piece.length;
    }
    let received = 0;
    other.on("data", (bytes) => {
      received += bytes.length;
    });
    other.resume();
    await listener.until("drained");
    expect(stream.backlog).toBe(0);
    stream.close();
    await once(other, "end");
    expect(received).toBe(written);
  });

  it("gathers what is said byte by byte to somebody who takes nothing", async () => {
    const { stream, other } = await connected();
    const write = vi.spyOn(Socket.prototype, "write");
    onTestFinished(() => write.mockRestore());
    while (stream.backlog === 0) stream.write(new Uint8Array(65_536), true);
    const before = write.mock.calls.length;
    const start = stream.backlog;
    for (let i = 0; i < 1000; i++) {
      stream.write(Uint8Array.of(i), true);
      if (i % 100 === 0) await new Promise(setImmediate);
    }
    expect(stream.backlog - start).toBe(1000);
    expect(write.mock.calls.length - before).toBe(0);
    let last: number | undefined;
    other.on("data", (bytes: Buffer) => {
      last = bytes.at(-1);
    });
    other.resume();
    await expect.poll(() => [stream.backlog, last]).toEqual([0, 999 & 0xff]);
    stream.reset();
  });

  it("sends what was said before it is reset", async () => {
    const { stream, other } = await connected();
    const heard = once(other, "data");
    other.resume();
    stream.write(Uint8Array.of(9), false);
    stream.reset();
    expect([...(await heard)[0]]).toEqual([9]);
  });

  it("is closed when it is refused or reset", async () => {
    const server = createServer();
    const port = await listening(server);
    server.close();
    await once(server, "close");
    const refused = new Listener();
    new OutsideSockets([]).connect({ address: HERE, port }, refused);
    await refused.until("closed");
    expect(refused.events).toEqual(["closed"]);
    const { stream, listener, other } = await connected();
    stream.setFlowing(true);
    other.resetAndDestroy();
    await listener.until("closed");
    const again = await connected();
    const failure = new Promise((resolve) => again.other.once("error", resolve));
    again.other.resume();
    again.stream.reset();
    expect(await failure).toMatchObject({ code: "ECONNRESET" });
  });
});

describe("a socket of a connection that nobody wants any more", () => {
  it("is closed at once, though nothing has answered yet", () => {
    const socket = connect(9, "192.0.2.1");
    const stream = new SocketStream(socket);
    expect(socket.connecting).toBe(true);
    stream.reset();
    expect(socket.destroyed).toBe(true);
  });

  it("has a minute for what the other side does not take", async () => {
    const { stream, other } = await connected();
    const socket = connect((other.address() as AddressInfo).port, HERE);
    await once(socket, "connect");
    const slow = new SocketStream(socket);
    slow.close();
    expect(socket.timeout).toBe(60_000);
    stream.reset();
    await once(socket, "close");
  });
});

describe("messages to the outside", () => {
  it("reach one endpoint, and only what comes from there is heard", async () => {
    const server = createSocket("udp4");
    onTestFinished(() => void server.close());
    server.bind(0, HERE);
    await once(server, "listening");
    const heard: (string | undefined)[] = [];
    let answered = (): void => {};
    const outside = new OutsideSockets([]);
    const exchange = outside.exchange({ address: HERE, port: server.address().port }, (bytes) => {
      heard.push(bytes && String(Buffer.from(bytes)));
      answered();
    });
    exchange.send(new TextEncoder().encode("question"));
    const [question, from] = await once(server, "message");
    expect(String(question)).toBe("question");
    const stranger = createSocket("udp4");
    await new Promise((resolve) => stranger.send("spoof", from.port, HERE, resolve));
    stranger.close();
    const answer = new Promise<void>((resolve) => {
      answered = resolve;
    });
    server.send("answer", from.port, HERE);
    await answer;
    expect(heard).toEqual(["answer"]);
    exchange.close();
    exchange.send(Uint8Array.of(1));
  });

  it("tell when nobody is there", async () => {
    const server = createSocket("udp4");
    server.bind(0, HERE);
    await once(server, "listening");
    const { port } = server.address();
    server.close();
    await new Promise<void>((resolve) => {
      const exchange = new OutsideSockets([]).exchange({ address: HERE, port }, (bytes) => {
        if (bytes === undefined) resolve();
      });
      onTestFinished(() => exchange.close());
      exchange.send(Uint8Array.of(1));
    });
  });

  it("know name servers as Node writes them", () => {
    const { resolvers } = new OutsideSockets(["1.1.1.1", "::1", "127.0.0.1:5353", "[::2]:54"]);
    expect(resolvers).toEqual([
      { address: "1.1.1.1", port: 53 },
      { address: "::1", port: 53 },
      { address: "127.0.0.1", port: 5353 },
      { address: "::2", port: 54 },
    ]);
  });
});

describe("a published port", () => {
  it("keeps connections until they are served", async () => {
    const open = await openPort({ kind: "tcp", address: HERE, port: 0, guestPort: 80 });
    const socket = connect(open.port, HERE);
    await once(socket, "connect");
    socket.write("early");
    const listener = new Listener();
    const stream = await new Promise<OutsideStream>((resolve) => {
      if (open.published.kind !== "tcp") return;
      open.published.start((each) => {
        resolve(each);
        return listener;
      });
    });
    stream.setFlowing(true);
    await listener.until("101,97,114,108,121");
    stream.write(new TextEncoder().encode("hello"), true);
    stream.close();
    const [bytes] = await once(socket, "data");
    expect(String(bytes)).toBe("hello");
    socket.destroy();
    open.close();
  });

  it("takes messages and answers them", async () => {
    const open = await openPort({ kind: "udp", address: HERE, port: 0, guestPort: 7 });
    const { published } = open;
    if (published.kind !== "udp") throw new Error("another kind was asked for");
    published.start((bytes, from) => published.send(bytes, from));
    const socket = createSocket("udp4");
    socket.send("echo", open.port, HERE);
    const [bytes] = await once(socket, "message");
    expect(String(bytes)).toBe("echo");
    socket.close();
    open.close();
  });

  it.each(["tcp", "udp"] as const)("is refused if it is taken: %s", async (kind) => {
    const wanted = { kind, address: HERE, guestPort: 80 };
    const open = await openPort({ ...wanted, port: 0 });
    const refusal = openPort({ ...wanted, port: open.port });
    await expect(refusal).rejects.toThrow(HostError);
    await expect(refusal).rejects.toThrow(
      `cannot publish ${kind} port ${open.port} of 127.0.0.1 (EADDRINUSE): somebody uses it already`,
    );
    open.close();
  });
});
