// @ts-check
import { short } from "./policy.js";
import { codeOf, Poster, statusOf } from "./poster.js";
import { SseParser } from "./sse_parser.js";

const OPEN_SECONDS = 10;
const MAX_HELLO_CHARS = 4_000; // of a URL, which nobody in between refuses
const ABNORMAL_CLOSURE = 1006;
const SIGN_OF_LIFE = JSON.stringify({ t: "pong" });

/**
 * @typedef {object} SseLinkOptions
 * @property {string} url of the socket; the stream's and the posts' are its neighbours
 * @property {typeof fetch} fetch
 * @property {() => string | null | Promise<string | null>} authorization
 * @property {(ticket: undefined) => void} onOpen
 * @property {(message: unknown) => void} onMessage
 * @property {(code: number) => void} onEnd called once, unless it was finished before
 */

/**
 * A stream by server-sent events that looks like a socket: `hello` opens it, every
 * other frame is posted. What it says is a socket's message, a comment is a `pong`.
 */
export class SseLink {
  kind = /** @type {const} */ ("sse");
  /** Whether it was tried to open it. */
  tried = false;
  #options;
  #abort = new AbortController();
  #authorization = "";
  /** @type {Poster | null} */
  #poster = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #openTimer = undefined;
  #over = false;

  /** @param {SseLinkOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @param {string | undefined} authorization */
  open(authorization) {
    if (this.#over) return;
    this.tried = true;
    this.#authorization = authorization ?? "";
    this.#options.onOpen(undefined);
  }

  /**
   * Send a frame after those posted before it.
   * @param {Record<string, unknown>} frame
   */
  post(frame) {
    if (this.#over) return;
    if (frame.t === "hello") void this.#stream(frame);
    // A stream's credential is its request's: the next connection renews it.
    else if (frame.t !== "auth") this.#poster?.post(frame);
  }

  /**
   * Close on purpose, after what was posted; `onEnd` will not be called.
   * @param {number} _code @param {string} _reason
   */
  finish(_code, _reason) {
    this.#over = true;
    clearTimeout(this.#openTimer);
    this.#poster?.finish();
    this.#abort.abort();
  }

  /**
   * Note that the stream has ended, or never came to be.
   * @param {number} code
   */
  end(code) {
    clearTimeout(this.#openTimer);
    if (this.#over) return;
    this.#over = true;
    this.#poster?.stop();
    this.#abort.abort();
    this.#options.onEnd(code);
  }

  /** @param {Record<string, unknown>} hello */
  async #stream(hello) {
    this.#poster = new Poster(
      {
        url: neighbour(this.#options.url, "acks"),
        fetch: this.#options.fetch,
        authorization: this.#options.authorization,
        onRefused: (code) => this.end(code),
      },
      this.#authorization,
    );
    this.#openTimer = setTimeout(() => this.end(ABNORMAL_CLOSURE), OPEN_SECONDS * 1000);
    try {
      const request = this.#options.fetch;
      const response = await request(streamUrl(this.#options.url, hello), {
        headers: { Authorization: this.#authorization, Accept: "text/event-stream" },
        cache: "no-store",
        signal: this.#abort.signal,
      });
      clearTimeout(this.#openTimer);
      if (response.ok) await this.#read(response, hello.device);
      else await this.#refused(response);
    } catch {
      // The network's, or our own abort, after which nobody listens.
    }
    this.end(ABNORMAL_CLOSURE);
  }

  /** @param {Response} response @param {unknown} device */
  async #read(response, device) {
    if (response.body === null) return;
    const reader = response.body.getReader();
    const decoder = new TextDecoder();
    const parser = new SseParser();
    for (;;) {
      const { value, done } = await reader.read();
      if (done || this.#over) return;
      for (const message of parser.push(decoder.decode(value, { stream: true }))) {
        this.#take(message, device);
      }
    }
  }

  /** @param {import("./sse_parser.js").SseMessage} message @param {unknown} device */
  #take({ event, data }, device) {
    if (this.#over) return;
    if (data === null) return this.#options.onMessage(SIGN_OF_LIFE);
    if (event === "close") return this.end(closeCode(data));
    if (event === "welcome") {
      const { conn, epoch } = parsed(data);
      this.#poster?.bind({ conn, device, epoch });
    }
    return this.#options.onMessage(data);
  }

  /** @param {Response} response */
  async #refused(response) {
    const { status } = response;
    const { code = `http_${status}`, detail = "" } = parsed(await response.text());
    const said = statusOf(response);
    const temporary = said === 0 || said >= 500 || said === 429;
    const problem = { t: "err", code: String(code), message: String(detail), temporary };
    if (!this.#over) this.#options.onMessage(JSON.stringify(problem));
    this.end(codeOf(said));
  }
}

/**
 * The URL of an HTTP route beside the socket's.
 * @param {string} url @param {string} name
 */
function neighbour(url, name) {
  const found = new URL(name, url);
  found.protocol = found.protocol.replace("ws", "http");
  return found.href;
}

/**
 * The stream's URL. What is cut off a long cursor comes again, and is acked again.
 * @param {string} url @param {Record<string, any>} hello
 */
function streamUrl(url, hello) {
  const base = neighbour(url, "stream");
  for (let most = hello.cursor?.beyond?.length ?? 0; ; most = Math.floor(most / 2)) {
    const cursor = hello.cursor && short({ ...hello.cursor, beyond: hello.cursor.beyond?.slice(0, most) });
    const query = new URLSearchParams({ hello: JSON.stringify({ ...hello, cursor }) });
    if (most === 0 || String(query).length <= MAX_HELLO_CHARS) return `${base}?${query}`;
  }
}

/** @param {string} data */
function closeCode(data) {
  const { code } = parsed(data);
  return Number.isInteger(code) ? code : ABNORMAL_CLOSURE;
}

/** @param {string} text @returns {Record<string, any>} */
function parsed(text) {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {}; // somebody in between said it
  }
}
