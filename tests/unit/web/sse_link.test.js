// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import "./globals.js";
import { SseLink } from "../../../service/web/client/sse_link.js";

const WELCOME = { t: "welcome", conn: "c1", epoch: "E", resume: "new", from: 1 };

/** The service's side of a stream, held by the test. */
class FakeService {
  /** @type {any[]} every request: {url, headers, body} */
  requests = [];
  /** @type {(number | "cut" | "hang")[]} what the coming posts are answered; then 200 */
  answers = [];
  status = 200;
  kind = "application/problem+json";
  problem = {};
  /** @type {Record<string, unknown>} */
  hello = { t: "hello", v: 1, device: "d1" };
  /** @type {string[]} */
  said = [];
  /** @type {number | undefined} */
  code = undefined;
  tokens = 0;
  #encoder = new TextEncoder();
  /** @type {any} */
  #controller;
  /** @type {(() => void)[]} */
  #waiting = [];

  constructor() {
    this.link = new SseLink({
      url: "wss://host/v1/socket",
      fetch: /** @type {any} */ ((/** @type {string} */ url, /** @type {any} */ init) => this.#fetch(url, init)),
      authorization: () => `Bearer ${(this.tokens += 1)}`,
      onOpen: () => this.link.post(this.hello),
      onMessage: (message) => void (this.said.push(String(message)), this.#tell()),
      onEnd: (code) => void ((this.code = code), this.#tell()),
    });
  }

  async open() {
    this.link.open("Bearer 0");
    await this.until(() => this.requests.length === 1);
    this.give(`event: welcome\ndata: ${JSON.stringify(WELCOME)}\n\n`);
    await this.until(() => this.said.length === 1);
  }

  /** @param {string} text */
  give(text) {
    this.#controller.enqueue(this.#encoder.encode(text));
  }

  finish() {
    this.#controller.close();
  }

  /** @param {() => boolean} holds */
  async until(holds) {
    while (!holds()) await new Promise((resolve) => this.#waiting.push(() => resolve(undefined)));
  }

  get posts() {
    return this.requests.slice(1);
  }

  #tell() {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** @param {string} url @param {any} init */
  async #fetch(url, init) {
    const body = init.body === undefined ? undefined : JSON.parse(init.body);
    this.requests.push({ url, headers: init.headers, body });
    this.#tell();
    if (body === undefined) return this.#stream(init.signal);
    const answer = this.answers.shift() ?? 200;
    if (answer === "cut") throw new TypeError("network");
    return new Response("{}", { status: Number(answer), headers: { "Content-Type": this.kind } });
  }

  /** @param {AbortSignal} signal */
  #stream(signal) {
    if (this.status !== 200) {
      const headers = { "Content-Type": this.kind };
      return new Response(JSON.stringify(this.problem), { status: this.status, headers });
    }
    const body = new ReadableStream({
      start: (controller) => {
        this.#controller = controller;
        signal.addEventListener("abort", () => controller.error(new Error("aborted")));
      },
    });
    return new Response(body, { status: 200 });
  }
}

test("hello opens the stream, with the token in the header and nowhere else", async () => {
  const service = new FakeService();
  await service.open();
  const { url, headers } = service.requests[0];
  service.link.finish(1000, "left");

  assert.equal(new URL(url).origin + new URL(url).pathname, "https://host/v1/stream");
  assert.deepEqual(JSON.parse(new URL(url).searchParams.get("hello") ?? ""), { t: "hello", v: 1, device: "d1" });
  assert.equal(headers.Authorization, "Bearer 0");
  assert.ok(!url.includes("Bearer"));
});

test("frames of one turn go as one post, in order, and later ones after it", async () => {
  const service = new FakeService();
  await service.open();
  service.link.post({ t: "wip", seq: 2 });
  service.link.post({ t: "ack", upto: 1 });
  await service.until(() => service.posts.length === 1);
  service.link.post({ t: "ack", upto: 2 });
  service.link.post({ t: "auth", ticket: "never by post" });
  await service.until(() => service.posts.length === 2);

  assert.equal(service.posts[0].url, "https://host/v1/acks");
  assert.deepEqual(service.posts[0].body, {
    conn: "c1",
    device: "d1",
    epoch: "E",
    frames: [
      { t: "wip", seq: 2 },
      { t: "ack", upto: 1 },
    ],
  });
  assert.deepEqual(service.posts[1].body.frames, [{ t: "ack", upto: 2 }]);
});

test("a post is repeated until it is answered, before anything later", async () => {
  const service = new FakeService();
  await service.open();
  service.answers = ["cut", 503, 401];
  service.link.post({ t: "ack", upto: 1 });
  await service.until(() => service.posts.length === 1);
  service.link.post({ t: "ack", upto: 2 });
  await service.until(() => service.posts.length === 4);
  const upto = service.posts.map(({ body }) => body.frames[0].upto);

  assert.deepEqual(upto, [1, 1, 1, 1]);
  assert.equal(service.posts[3].headers.Authorization, "Bearer 1");
  assert.equal(service.code, undefined);
});

test("a post that can never be taken ends the link with the socket's code", async () => {
  for (const [status, code] of [
    [400, 4400],
    [403, 4403],
    [404, 1006],
    [409, 1006],
    [413, 4413],
  ]) {
    const service = new FakeService();
    await service.open();
    service.answers = [status];
    service.link.post({ t: "ack", upto: 9 });
    await service.until(() => service.code !== undefined);

    assert.equal(service.code, code);
  }
});

test("a refused stream tells why, and ends with the socket's code", async () => {
  for (const [status, code, temporary] of /** @type {const} */ ([
    [400, 4400, false],
    [401, 4401, false],
    [403, 4403, false],
    [404, 1006, false],
    [503, 1006, true],
  ])) {
    const service = new FakeService();
    service.status = status;
    service.problem = { code: "why", detail: "because" };
    service.link.open("Bearer 0");
    await service.until(() => service.code !== undefined);

    assert.equal(service.code, code);
    assert.deepEqual(JSON.parse(service.said[0]), { t: "err", code: "why", message: "because", temporary });
  }
});

test("what somebody in between answers is never final", async () => {
  const stream = new FakeService();
  Object.assign(stream, { kind: "text/html", status: 403 });
  stream.link.open("Bearer 0");
  await stream.until(() => stream.code !== undefined);
  const posts = new FakeService();
  await posts.open();
  Object.assign(posts, { kind: "text/html", answers: [403, 401] });
  posts.link.post({ t: "ack", upto: 1 });
  await posts.until(() => posts.posts.length === 3);
  posts.link.finish(1000, "left");

  assert.equal(stream.code, 1006);
  assert.equal(JSON.parse(stream.said[0]).temporary, true);
  assert.equal(posts.code, undefined);
  assert.equal(posts.tokens, 0); // nobody asked for another credential
});

test("a comment is a sign of life, a close ends with its code, a cut with 1006", async () => {
  const closed = new FakeService();
  await closed.open();
  closed.give(':\n\nevent: live\ndata: {"t":"live"}\n\nevent: close\ndata: {"code":4008,"reason":""}\n\n');
  await closed.until(() => closed.code !== undefined);
  const cut = new FakeService();
  await cut.open();
  cut.finish();
  await cut.until(() => cut.code !== undefined);

  assert.deepEqual(closed.said.slice(1), ['{"t":"pong"}', '{"t":"live"}']);
  assert.equal(closed.code, 4008);
  assert.equal(cut.code, 1006);
});

test("a finished link posts what waits, once, and says nothing more", async () => {
  const service = new FakeService();
  await service.open();
  service.answers = ["cut"];
  service.link.post({ t: "ack", upto: 1 });
  service.link.post({ t: "bye" });
  service.link.finish(1000, "left");
  service.link.post({ t: "ack", upto: 2 });
  await service.until(() => service.posts.length === 1);
  await new Promise((resolve) => setTimeout(resolve, 50));

  assert.deepEqual(
    service.posts.map(({ body }) => body.frames),
    [[{ t: "ack", upto: 1 }, { t: "bye" }]],
  );
  assert.equal(service.code, undefined);
});

test("a long cursor is cut to what fits a URL", async () => {
  const service = new FakeService();
  const beyond = Array.from({ length: 1_000 }, (_, n) => [10 + 2 * n, 10 + 2 * n]);
  service.hello = { ...service.hello, cursor: { epoch: "E", seq: 3, beyond } };
  await service.open();
  const { url } = service.requests[0];
  const { cursor } = JSON.parse(new URL(url).searchParams.get("hello") ?? "");

  assert.ok(url.length < 4_200);
  assert.equal(cursor.seq, 3);
  assert.ok(cursor.beyond.length > 10);
  assert.deepEqual(cursor.beyond, beyond.slice(0, cursor.beyond.length));
});
