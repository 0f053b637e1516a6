// @ts-check

const OPEN_SECONDS = 10;
// One message holds at most so many frames: far below the 65,536 bytes that the server
// takes, with reasons cut to 200 characters.
const GROUP_FRAMES = 32;
const ABNORMAL_CLOSURE = 1006;
const CLOSE_AFTER_ERROR = 100; // milliseconds

/**
 * @typedef {object} LinkOptions
 * @property {string} url
 * @property {string} subprotocol
 * @property {typeof WebSocket} webSocket
 * @property {(ticket: string | undefined) => void} onOpen
 * @property {(message: unknown) => void} onMessage
 * @property {(code: number) => void} onEnd called once, unless it was finished before
 */

/**
 * A socket from before it opens until after it closed. What is posted in one turn of
 * the event loop goes out as one message.
 */
export class Link {
  kind = /** @type {const} */ ("socket");
  /** Whether it was tried to open it. */
  tried = false;
  #options;
  /** @type {WebSocket | null} */
  #socket = null;
  /** @type {Record<string, unknown>[]} */
  #outbox = [];
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #openTimer = undefined;
  #over = false;

  /** @param {LinkOptions} options */
  constructor(options) {
    this.#options = options;
  }

  /** @param {string | undefined} ticket given back by `onOpen` */
  open(ticket) {
    if (this.#over) return;
    this.tried = true;
    const { url, subprotocol, webSocket } = this.#options;
    const socket = new webSocket(url, [subprotocol]);
    this.#socket = socket;
    socket.onopen = () => {
      clearTimeout(this.#openTimer);
      if (!this.#over) this.#options.onOpen(ticket);
    };
    socket.onmessage = ({ data }) => {
      if (!this.#over) this.#options.onMessage(data);
    };
    socket.onclose = ({ code }) => this.end(code);
    // A close follows at once, except in Node 20 when the upgrade is refused.
    socket.onerror = () => setTimeout(() => this.end(ABNORMAL_CLOSURE), CLOSE_AFTER_ERROR);
    this.#openTimer = setTimeout(() => this.#abandon(), OPEN_SECONDS * 1000);
  }

  /**
   * Send a frame after those posted before it.
   * @param {Record<string, unknown>} frame
   */
  post(frame) {
    if (this.#outbox.length === 0) queueMicrotask(() => this.#flush());
    this.#outbox.push(frame);
  }

  /**
   * Close on purpose, after what was posted; `onEnd` will not be called.
   * @param {number} code @param {string} reason
   */
  finish(code, reason) {
    this.#flush();
    this.#over = true;
    clearTimeout(this.#openTimer);
    // A dead peer never answers a close; the browser gives up by itself.
    this.#socket?.close(code, reason);
  }

  /**
   * Note that the socket has ended, or never came to be.
   * @param {number} code
   */
  end(code) {
    clearTimeout(this.#openTimer);
    if (this.#over) return;
    this.#over = true;
    this.#options.onEnd(code);
  }

  #abandon() {
    this.#socket?.close();
    this.end(ABNORMAL_CLOSURE);
  }

  #flush() {
    const open = this.#socket?.readyState === this.#options.webSocket.OPEN;
    while (this.#outbox.length > 0) {
      const frames = this.#outbox.splice(0, GROUP_FRAMES);
      if (this.#over || !open) continue; // nobody to send them to any more
      this.#socket?.send(JSON.stringify(frames.length === 1 ? frames[0] : frames));
    }
  }
}
