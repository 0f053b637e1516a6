// @ts-check
import { SUBPROTOCOL } from "./frames.js";
import { Link } from "./link.js";
import { SseLink } from "./sse_link.js";

/** @typedef {"socket" | "sse"} Kind */

const SOCKET_ATTEMPTS = 3;
export const RETRY_SECONDS = 60;
const FIRST_OF_OUR_CODES = 4000;

/**
 * What to connect by. With "auto" sockets come first; when several in a row did not
 * get through, streams do for a while.
 */
export class Choice {
  #transport;
  #failures = 0;
  #retryAt = 0;

  /** @param {"auto" | Kind} transport */
  constructor(transport) {
    this.#transport = transport;
  }

  /**
   * @param {number} now
   * @param {boolean} moving whether another link serves meanwhile
   * @returns {Kind}
   */
  pick(now, moving) {
    if (this.#transport !== "auto") return this.#transport;
    const blocked = this.#failures >= SOCKET_ATTEMPTS && now < this.#retryAt;
    return blocked && !moving ? "sse" : "socket";
  }

  /** Whether a link of this kind is only a substitute. @param {Kind} kind */
  isSecondBest(kind) {
    return this.#transport === "auto" && kind === "sse";
  }

  /** @param {Kind} kind */
  welcomed(kind) {
    if (kind === "socket") this.#failures = 0;
  }

  /**
   * Note that a link ended before its welcome.
   * @param {Kind} kind @param {number} code @param {number} now
   */
  failed(kind, code, now) {
    // With a code of the protocol it was the service that answered.
    if (code >= FIRST_OF_OUR_CODES) return;
    if (kind === "socket") {
      this.#failures += 1;
      this.#retryAt = now + RETRY_SECONDS;
    } else {
      this.#retryAt = now; // nothing gets through: sockets may be first to do so
    }
  }
}

/**
 * @typedef {object} Heard
 * @property {(ticket: string | undefined) => void} onOpen
 * @property {(message: unknown) => void} onMessage
 * @property {(code: number) => void} onEnd
 */

/** Makes links as the client's options say, and the credential that each needs. */
export class Dialer {
  #options;

  /** @param {import("./client.js").Options} options */
  constructor(options) {
    this.#options = options;
    const { transport = "auto", authorization } = options;
    if (transport === "sse" && authorization === undefined) {
      throw new TypeError('authorization: is needed for transport "sse"');
    }
    this.choice = new Choice(authorization === undefined ? "socket" : transport);
  }

  /**
   * @param {Kind} kind
   * @param {boolean} moving whether another link serves meanwhile
   * @param {Heard} heard
   */
  link(kind, moving, heard) {
    const { url, webSocket } = this.#options;
    if (kind === "sse") {
      const authorization = async () => (await this.#options.authorization?.()) ?? null;
      const fetch = this.#options.fetch ?? globalThis.fetch.bind(globalThis);
      return new SseLink({ url, authorization, fetch, ...heard });
    }
    return new Link({
      url: moving ? toMove(url) : url,
      subprotocol: SUBPROTOCOL,
      webSocket: webSocket ?? globalThis.WebSocket,
      ...heard,
    });
  }

  /** Whether a new credential can be had. @param {Kind} kind */
  canRenew(kind) {
    const { getTicket, authorization } = this.#options;
    return (kind === "sse" ? authorization : getTicket) !== undefined;
  }

  /**
   * What opens a link; null when none is given, undefined when none is needed.
   * @param {Kind} kind
   * @returns {Promise<string | null | undefined>}
   */
  async credential(kind) {
    const { getTicket, authorization } = this.#options;
    const ask = kind === "sse" ? authorization : getTicket;
    return ask === undefined ? undefined : ((await ask()) ?? null);
  }
}

/**
 * The socket's URL for a move: a full node keeps room for those.
 * @param {string} url
 */
export function toMove(url) {
  return `${url}${url.includes("?") ? "&" : "?"}move=1`;
}
