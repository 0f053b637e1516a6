// @ts-check
import * as ranges from "./ranges.js";

/** @typedef {import("./policy.js").Action} Action */

const ACK_EVENTS = 16;
const ACK_DELAY_SECONDS = 0.02;

/**
 * What a device has handled and not yet acked. Every seq in it was sent in the current
 * session. The twin of service/core/device_acks.py.
 */
export class Acks {
  /** @type {Set<number>} */
  #owed = new Set();
  #since = 0;

  /** When they must be sent at the latest; null when there are none. */
  get dueAt() {
    return this.#owed.size === 0 ? null : this.#since + ACK_DELAY_SECONDS;
  }

  /** @param {number} seq @param {number} now */
  add(seq, now) {
    if (this.#owed.size === 0) this.#since = now;
    this.#owed.add(seq);
  }

  clear() {
    this.#owed.clear();
  }

  /**
   * Whether to send them now: nothing to wait for, many, or old.
   * @param {number} now @param {boolean} idle
   */
  due(now, idle) {
    const { dueAt } = this;
    if (dueAt === null) return false;
    return idle || this.#owed.size >= ACK_EVENTS || now >= dueAt;
  }

  /**
   * Send them: what `upto` covers by it, the rest one by one as ranges.
   * @param {number} upto
   * @returns {Action[]}
   */
  take(upto) {
    const owed = [...this.#owed];
    const beyond = ranges.ofValues(owed.filter((seq) => seq > upto));
    this.#owed.clear();
    /** @type {Action[]} */
    const actions = [];
    if (owed.some((seq) => seq <= upto)) actions.push({ do: "send", frame: { t: "ack", upto } });
    if (beyond.length > 0) actions.push({ do: "send", frame: { t: "ack", seqs: beyond } });
    return actions;
  }
}
