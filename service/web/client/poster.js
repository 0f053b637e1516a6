// @ts-check
import { CloseCode } from "./frames.js";
import { reconnectDelay } from "./policy.js";

const GROUP_FRAMES = 32;
const PATIENCE_MILLISECONDS = 10_000;
const MAX_ATTEMPT = 3; // of the backoff: a session is not left alone for long
const ABNORMAL_CLOSURE = 1006;

/** @type {ReadonlyMap<number, number>} by HTTP status: the socket's code for the same */
const CODES = new Map([
  [400, CloseCode.BAD_FRAME],
  [401, CloseCode.UNAUTHORIZED],
  [403, CloseCode.FORBIDDEN],
  [413, CloseCode.TOO_LARGE],
]);

/**
 * The close code that means what an HTTP status means.
 * @param {number} status
 */
export function codeOf(status) {
  return CODES.get(status) ?? ABNORMAL_CLOSURE;
}

/**
 * The status of the service's own answer; 0 when it refuses without saying why, as
 * somebody in between does.
 * @param {Response} response
 */
export function statusOf({ ok, status, headers }) {
  const ours = (headers.get("Content-Type") ?? "").startsWith("application/problem+json");
  return ok || ours ? status : 0;
}

/**
 * @typedef {object} PosterOptions
 * @property {string} url
 * @property {typeof fetch} fetch
 * @property {() => string | null | Promise<string | null>} authorization asked again
 *   when the server refuses the last one
 * @property {(code: number) => void} onRefused what was posted can never be taken
 */

/**
 * The way back of a stream: posts frames in their order, one request at a time, and
 * again while there is no answer. What comes meanwhile goes with the next request.
 */
export class Poster {
  #options;
  #authorization;
  /** @type {Record<string, unknown>} */
  #session = {};
  /** @type {Record<string, unknown>[]} */
  #outbox = [];
  #busy = false;
  #last = false;
  #over = false;
  /** @type {(() => void) | null} ends a pause */
  #wake = null;

  /** @param {PosterOptions} options @param {string} authorization */
  constructor(options, authorization) {
    this.#options = options;
    this.#authorization = authorization;
  }

  /** @param {{conn: string, device: unknown, epoch: string}} session whom frames are for */
  bind(session) {
    this.#session = session;
  }

  /** @param {Record<string, unknown>} frame */
  post(frame) {
    if (this.#over || this.#last) return;
    this.#outbox.push(frame);
    // Not at once: what is posted in the same turn goes along.
    if (!this.#busy) void this.#drain();
  }

  /** Post what waits, each once more at most, and nothing that comes later. */
  finish() {
    this.#last = true;
    this.#wake?.();
  }

  /** Post nothing more: the session is gone, its successor says the rest. */
  stop() {
    this.#over = true;
    this.#outbox = [];
    this.#wake?.();
  }

  async #drain() {
    this.#busy = true;
    await null;
    let attempt = 0;
    while (this.#outbox.length > 0 && !this.#over) {
      const frames = this.#outbox.slice(0, GROUP_FRAMES);
      const lastTry = this.#last;
      const status = await this.#send(frames);
      if (this.#over) break;
      if (status >= 200 && status < 300) {
        this.#outbox.splice(0, frames.length);
        attempt = 0;
      } else if (lastTry) {
        this.#outbox = []; // the cursor in the next hello says it
      } else if (status === 401) {
        await this.#renew();
        await this.#pause(attempt++);
      } else if (isFinal(status)) {
        this.stop();
        this.#options.onRefused(codeOf(status));
      } else {
        await this.#pause(attempt++);
      }
    }
    this.#busy = false;
  }

  /**
   * @param {Record<string, unknown>[]} frames
   * @returns {Promise<number>} the HTTP status; 0: there was no answer of the service
   */
  async #send(frames) {
    const request = this.#options.fetch;
    try {
      const answer = await request(this.#options.url, {
        method: "POST",
        headers: { Authorization: this.#authorization, "Content-Type": "application/json" },
        body: JSON.stringify({ ...this.#session, frames }),
        keepalive: this.#last, // the page may be about to go
        signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
      });
      await answer.arrayBuffer(); // frees the connection
      return statusOf(answer);
    } catch {
      return 0;
    }
  }

  async #renew() {
    let authorization = null;
    try {
      authorization = await this.#options.authorization();
    } catch {
      return; // asked again after the pause
    }
    if (authorization !== null) this.#authorization = authorization;
    else if (!this.#over) {
      this.stop();
      this.#options.onRefused(CloseCode.UNAUTHORIZED);
    }
  }

  /** @param {number} attempt */
  async #pause(attempt) {
    if (this.#over || this.#last) return;
    const seconds = reconnectDelay(Math.min(attempt, MAX_ATTEMPT), 0.5 + Math.random() / 2);
    await new Promise((resolve) => {
      const timer = setTimeout(resolve, seconds * 1000);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
    });
    this.#wake = null;
  }
}

/** Whether the same frames would be refused for ever. @param {number} status */
function isFinal(status) {
  return status >= 400 && status < 500 && status !== 408 && status !== 429;
}
