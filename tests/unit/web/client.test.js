// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import "./globals.js";
import { connect } from "../../../service/web/client/client.js";

/** A socket whose other end is the test. */
class FakeSocket {
  static OPEN = 1;
  /** @type {FakeSocket[]} */
  static all = [];
  /** @type {((socket: FakeSocket) => void)[]} */
  static waiting = [];

  readyState = 0;
  /** @type {any[]} */
  frames = [];
  /** @type {(() => void)[]} */
  waiting = [];
  /** @type {number | undefined} */
  closedWith = undefined;
  /** @type {any} */ onopen;
  /** @type {any} */ onmessage;
  /** @type {any} */ onclose;
  /** @type {any} */ onerror;

  /** @param {string} url @param {string[]} protocols */
  constructor(url, protocols) {
    this.url = url;
    this.protocols = protocols;
    FakeSocket.all.push(this);
    for (const wake of FakeSocket.waiting.splice(0)) wake(this);
  }

  /** @returns {Promise<FakeSocket>} the next socket that is made */
  static next() {
    return new Promise((resolve) => FakeSocket.waiting.push(resolve));
  }

  /** @param {string} text */
  send(text) {
    this.frames.push(...[JSON.parse(text)].flat());
    for (const wake of this.waiting.splice(0)) wake();
  }

  /** @param {number} [code] */
  close(code) {
    this.closedWith = code;
    this.readyState = 3;
  }

  open() {
    this.readyState = 1;
    this.onopen();
  }

  /** @param {...any} frames */
  give(...frames) {
    this.onmessage({ data: JSON.stringify(frames) });
  }

  /** @param {string} t */
  async until(t) {
    while (!this.frames.some((frame) => frame.t === t)) {
      await new Promise((resolve) => this.waiting.push(() => resolve(undefined)));
    }
    return this.frames.find((frame) => frame.t === t);
  }

  /** @param {string} [conn] @param {string} [resume] */
  async welcome(conn = "c1", resume = "new") {
    this.open();
    const hello = await this.until("hello");
    const from = (hello.cursor?.seq ?? 0) + 1;
    this.give({ t: "welcome", conn, epoch: "E", resume, from }, { t: "live", seq: 0 });
    return hello;
  }
}

/** @param {number} seq */
const ev = (seq) => ({ t: "ev", seq, id: `e${seq}`, type: "x", at: 0, attempt: 1 });

/** @param {any} options */
function start(options) {
  const made = FakeSocket.next();
  const client = connect({ url: "ws://test/", device: "d1", webSocket: FakeSocket, ...options });
  return { client, made };
}

test("the subprotocol is asked for and the ticket is in hello, not in the URL", async () => {
  const { client, made } = start({ onEvent: () => undefined, getTicket: () => "T1" });
  const socket = await made;
  const hello = await socket.welcome();
  await client.close();

  assert.deepEqual(socket.protocols, ["events.v1.json"]);
  assert.equal(socket.url, "ws://test/");
  assert.equal(hello.ticket, "T1");
});

test("the cursor is stored before the ack is sent", async () => {
  /** @type {string[]} */
  const order = [];
  const storage = {
    getItem: () => null,
    setItem: (/** @type {string} */ _, /** @type {string} */ value) =>
      void order.push(`saved ${JSON.parse(value).seq}`),
  };
  const { client, made } = start({ onEvent: async () => undefined, storage });
  const socket = await made;
  await socket.welcome();
  const send = socket.send.bind(socket);
  socket.send = (text) => {
    order.push(...[JSON.parse(text)].flat().map((frame) => `sent ${frame.t}`));
    send(text);
  };
  socket.give(ev(1));
  await socket.until("ack");
  await client.close();

  assert.deepEqual(order, ["saved 0", "saved 1", "sent ack", "sent bye"]);
});

test("a stored cursor is continued from; a damaged one is not", async () => {
  for (const [stored, expected] of [
    ['{"epoch":"E","seq":7,"beyond":[[9,9]]}', { epoch: "E", seq: 7, beyond: [[9, 9]] }],
    ['{"epoch":"E","seq":"7"}', undefined],
    ["{", undefined],
  ]) {
    const storage = { getItem: () => stored, setItem: () => undefined };
    const { client, made } = start({ onEvent: () => undefined, storage });
    const socket = await made;
    socket.open();
    const hello = await socket.until("hello");
    await client.close();

    assert.deepEqual(hello.cursor, expected);
  }
});

test("one handler at a time, in order, also when it is async", async () => {
  let running = 0;
  /** @type {number[]} */
  const seen = [];
  const onEvent = async (/** @type {any} */ { seq }) => {
    running += 1;
    assert.equal(running, 1);
    await null;
    seen.push(seq);
    running -= 1;
  };
  const { client, made } = start({ onEvent });
  const socket = await made;
  await socket.welcome();
  socket.give(ev(1), ev(2), ev(3));
  const ack = await socket.until("ack");
  await client.close();

  assert.deepEqual(seen, [1, 2, 3]);
  assert.equal(ack.upto, 3);
});

test("the online event ends the waiting", async () => {
  const target = new EventTarget();
  globalThis.addEventListener = target.addEventListener.bind(target);
  globalThis.removeEventListener = target.removeEventListener.bind(target);
  /** @type {any[]} */
  const changes = [];
  const { client, made } = start({
    onEvent: () => undefined,
    onState: (/** @type {any} */ change) => changes.push(change),
  });
  const first = await made;
  await first.welcome();
  first.onclose({ code: 4029 }); // a long wait
  const made2 = FakeSocket.next();
  target.dispatchEvent(new Event("online"));
  const second = await made2;
  await client.close();
  target.dispatchEvent(new Event("online"));

  const waiting = changes.find(({ state }) => state === "waiting");
  assert.ok(waiting.retryAt instanceof Date);
  assert.equal(FakeSocket.all.at(-1), second);
});

test("an upgrade that fails with an error and no close is a cut", async () => {
  const { client, made } = start({ onEvent: () => undefined });
  const socket = await made;
  const again = FakeSocket.next();
  socket.onerror();
  await again;
  await client.close();
});

test("a ticket that cannot be fetched is tried again, and told", async () => {
  /** @type {string[]} */
  const problems = [];
  let asked = 0;
  const { client, made } = start({
    onEvent: () => undefined,
    onProblem: (/** @type {any} */ { code }) => problems.push(code),
    getTicket: async () => {
      asked += 1;
      if (asked === 1) throw new Error("away");
      return "T2";
    },
  });
  const hello = await (await made).welcome();
  await client.close();

  assert.equal(hello.ticket, "T2");
  assert.deepEqual(problems, ["ticket"]);
});

test("what the program's own functions throw does not stop the client", async () => {
  const silence = console.error;
  let reported = 0;
  console.error = () => (reported += 1);
  const fail = () => {
    throw new Error("mine");
  };
  const { client, made } = start({ onEvent: () => undefined, onState: fail, onEphemeral: fail });
  const socket = await made;
  await socket.welcome();
  socket.give({ t: "eph", type: "x" }, ev(1));
  await socket.until("ack");
  await client.close();
  console.error = silence;

  assert.ok(reported >= 3);
});

test("close waits for the running handler, acks it and says bye", async () => {
  /** @type {(value?: unknown) => void} */
  let release = () => undefined;
  const released = new Promise((resolve) => (release = resolve));
  const { client, made } = start({ onEvent: () => released });
  const socket = await made;
  await socket.welcome();
  socket.give(ev(1), ev(2));
  const closing = client.close();
  release();
  await closing;

  assert.deepEqual(
    socket.frames.map(({ t }) => t),
    ["hello", "ack", "bye"],
  );
  assert.equal(socket.closedWith, 1000);
  assert.equal(client.state, "stopped");
  assert.deepEqual(client.cursor, { epoch: "E", seq: 1 });
});

test("a large burst of answers goes out in messages of at most 32 frames", async () => {
  const never = new Promise(() => undefined);
  const { made } = start({ onEvent: () => never });
  const socket = await made;
  await socket.welcome();
  /** @type {number[]} */
  const sizes = [];
  const done = new Promise((resolve) => {
    socket.send = (text) => {
      sizes.push([JSON.parse(text)].flat().length);
      if (sizes.reduce((a, b) => a + b) === 100) resolve(undefined);
    };
  });
  const events = Array.from({ length: 100 }, (_, i) => ev(i + 1));
  socket.give(...events, ...events);
  await done;
  socket.onclose({ code: 4403 });

  assert.deepEqual(sizes, [32, 32, 32, 4]);
});

test("a stream that is asked to move goes on by another stream where no socket gets through", async () => {
  /** @type {ReadableStreamDefaultController<Uint8Array>[]} */
  const streams = [];
  /** @type {(() => void)[]} */
  const waiting = [];
  /** @param {string} url @param {RequestInit} [init] */
  const fetch = async (url, init) => {
    if (init?.method === "POST") return new Response("{}");
    const body = new ReadableStream({ start: (controller) => void streams.push(controller) });
    for (const wake of waiting.splice(0)) wake();
    return new Response(body, { headers: { "Content-Type": "text/event-stream" } });
  };
  /** @param {number} count */
  const untilStreams = async (count) => {
    while (streams.length < count) await new Promise((resolve) => waiting.push(() => resolve(undefined)));
  };
  /** @param {number} which @param {any} frame */
  const give = (which, frame) =>
    streams[which].enqueue(new TextEncoder().encode(`event: ${frame.t}\ndata: ${JSON.stringify(frame)}\n\n`));
  let sockets = 0;
  class NoSocket {
    static OPEN = 1;
    /** @type {any} */ onclose;
    constructor() {
      sockets += 1;
      if (sockets > 9) throw new Error("again and again");
      queueMicrotask(() => this.onclose({ code: 1006 }));
    }
    close() {}
  }
  const live = new Set();
  const client = connect({
    url: "ws://test/v1/socket",
    device: "d1",
    webSocket: /** @type {any} */ (NoSocket),
    fetch: /** @type {any} */ (fetch),
    authorization: () => "Bearer t",
    onEvent: () => undefined,
    onState: ({ state }) => void live.add(state),
  });
  await untilStreams(1);
  give(0, { t: "welcome", conn: "c1", epoch: "E", resume: "new", from: 1 });
  give(0, { t: "live", seq: 0 });
  give(0, { t: "goaway", within_ms: 5000, reason: "drain" });
  await untilStreams(2);
  const tried = sockets;
  await client.close();

  assert.equal(tried, 4); // three before the first stream, one for the move
});
