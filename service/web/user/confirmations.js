// @ts-check
/**
 * What the service has on record about the events that this page handled.
 *
 * An ack has no answer on the socket, so the page asks: soon after it has handled
 * something, then ever less often until the service has settled all of it.
 *
 * @typedef {import("./tick.js").Tick} Tick
 * @typedef {import("./tick.js").Delivery} Delivery
 */
import { ask } from "../shared/api.js";

const FIRST_MILLISECONDS = 150;
const LONGEST_MILLISECONDS = 5_000;
const LIMIT = 100;

export class Confirmations {
  #path;
  #token;
  #settled;
  /** @type {Map<number, Tick>} in the order in which they were handled */
  #open = new Map();
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer = undefined;
  #wait = FIRST_MILLISECONDS;

  /**
   * @param {import("../shared/sign_in.js").Account} account
   * @param {number} settled up to here everything was settled before; the service
   *   replays of it only what was confirmed
   */
  constructor({ user, token }, settled) {
    this.#path = `/v1/users/${encodeURIComponent(user)}/events`;
    this.#token = token;
    this.#settled = settled;
  }

  /** @param {number} seq @param {Tick} tick */
  handled(seq, tick) {
    if (seq <= this.#settled) return tick.mark(seq, "confirmed");
    tick.mark(seq, "handled");
    this.#open.set(seq, tick);
    this.#wait = FIRST_MILLISECONDS;
    return this.#schedule();
  }

  /** Forget what was asked for: the numbers mean something else now. */
  startOver() {
    this.#settled = 0;
    this.#open.clear();
  }

  #schedule() {
    if (this.#timer !== undefined || this.#open.size === 0) return;
    this.#timer = setTimeout(() => void this.#look(), this.#wait);
  }

  async #look() {
    // When the service is away: later.
    const settled = await this.#ask().catch(() => 0);
    this.#timer = undefined;
    this.#wait = this.#waitAfter(settled);
    this.#schedule();
  }

  /** @param {number} settled how many the last answer settled */
  #waitAfter(settled) {
    if (settled === LIMIT) return 0; // the rest of a long replay
    return settled > 0 ? FIRST_MILLISECONDS : Math.min(2 * this.#wait + FIRST_MILLISECONDS, LONGEST_MILLISECONDS);
  }

  /** Ask about the oldest; return how many of them were settled. */
  async #ask() {
    const oldest = [...this.#open.keys()].reduce((a, b) => Math.min(a, b), Infinity);
    const answer = await ask(`${this.#path}?after=${oldest - 1}&limit=${LIMIT}`, { token: this.#token });
    const before = this.#open.size;
    for (const { seq, outcome } of answer.events) {
      const tick = this.#open.get(seq);
      if (tick === undefined || outcome === null) continue;
      tick.mark(seq, /** @type {Delivery} */ (outcome));
      this.#open.delete(seq);
    }
    return before - this.#open.size;
  }
}
