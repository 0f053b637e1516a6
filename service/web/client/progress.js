// @ts-check
import * as ranges from "./ranges.js";

/**
 * @typedef {import("./frames.js").Cursor} Cursor
 * @typedef {import("./frames.js").EventFrame} EventFrame
 */

/**
 * What a device has done of its stream, and what it still has to do. Done means
 * handled, or declared by the server. The twin of service/core/device_progress.py.
 *
 * An event is in exactly one place: done, queued, with the handler, or refused.
 * The floor never passes an event that is not done.
 */
export class Progress {
  /** @type {string | null} */
  epoch = null;
  floor = 0;
  /** @type {Map<number, EventFrame>} */
  queue = new Map();
  /** @type {number | null} */
  running = null;
  /** True also while a handler runs whose event a reset made meaningless. */
  handlerBusy = false;
  /** @type {ranges.Ranges} */
  #beyond = ranges.EMPTY;
  /** @type {Set<number>} */
  #refused = new Set();

  /** @param {Cursor | null} cursor */
  constructor(cursor) {
    if (cursor === null) return;
    this.epoch = cursor.epoch;
    this.#advance(cursor.seq, ranges.of(cursor.beyond ?? []));
  }

  /**
   * What to continue from; null until a first welcome.
   * @returns {Cursor | null}
   */
  get cursor() {
    if (this.epoch === null) return null;
    const cursor = { epoch: this.epoch, seq: this.floor };
    return this.#beyond.length > 0 ? { ...cursor, beyond: this.#beyond } : cursor;
  }

  /** Whether nothing is queued and no event is with the handler. */
  get idle() {
    return this.running === null && this.queue.size === 0;
  }

  /** @param {number} seq */
  done(seq) {
    return seq <= this.floor || ranges.contains(this.#beyond, seq);
  }

  /**
   * Whether the event is queued or with the handler.
   * @param {number} seq
   */
  pending(seq) {
    return seq === this.running || this.queue.has(seq);
  }

  /**
   * The highest seq that explains itself: what is done may be skipped.
   * @param {number} received
   */
  nextAfter(received) {
    return ranges.prefixEnd(this.#beyond, Math.max(received, this.floor)) + 1;
  }

  /**
   * The lowest seq queued or running that the server waits for: received already, and not
   * declared since.
   * @param {number} received
   * @returns {number | null}
   */
  oldestPending(received) {
    const seqs = [...this.queue.keys()];
    if (this.running !== null) seqs.push(this.running);
    const sent = seqs.filter((seq) => seq <= received && !this.done(seq));
    return sent.length === 0 ? null : Math.min(...sent);
  }

  /**
   * Forget everything: the numbers mean something else now.
   * @param {string} epoch @param {number} floor
   */
  startOver(epoch, floor) {
    this.epoch = epoch;
    this.floor = floor;
    this.#beyond = ranges.EMPTY;
    this.queue.clear();
    this.#refused.clear();
    this.running = null;
  }

  /** @param {EventFrame} event */
  enqueue(event) {
    this.#refused.delete(event.seq);
    this.queue.set(event.seq, event);
  }

  /**
   * Give the first of the queue to the handler.
   * @returns {EventFrame}
   */
  takeNext() {
    const [[seq, event]] = this.queue;
    this.queue.delete(seq);
    this.handlerBusy = true;
    this.running = seq;
    return event;
  }

  /** The seq that the handler ended, or null if it means nothing now. */
  endHandler() {
    if (!this.handlerBusy) throw new Error("no handler runs");
    const seq = this.running;
    this.running = null;
    this.handlerBusy = false;
    return seq;
  }

  /**
   * Count a range as done and move the floor as far as it goes.
   * @param {number} first @param {number} last
   */
  complete(first, last) {
    this.#advance(this.floor, ranges.add(this.#beyond, first, last));
  }

  /** @param {number} seq */
  refuse(seq) {
    this.#refused.add(seq);
  }

  /**
   * Count a range as done because the server said so.
   * @param {number} first @param {number} last
   */
  declare(first, last) {
    for (const seq of this.#refusedWithin(first, last)) this.#refused.delete(seq);
    this.complete(first, last);
  }

  /**
   * Count only what was refused in a range as done.
   * @param {number} first @param {number} last
   */
  declareRefused(first, last) {
    for (const seq of this.#refusedWithin(first, last)) {
      this.#refused.delete(seq);
      this.complete(seq, seq);
    }
  }

  /** @param {number} first @param {number} last */
  dropQueued(first, last) {
    for (const seq of [...this.queue.keys()]) {
      if (first <= seq && seq <= last) this.queue.delete(seq);
    }
  }

  /** @param {number} floor @param {ranges.Ranges} done */
  #advance(floor, done) {
    this.floor = ranges.prefixEnd(done, floor);
    this.#beyond = ranges.above(done, this.floor);
  }

  /** @param {number} first @param {number} last */
  #refusedWithin(first, last) {
    return [...this.#refused].filter((seq) => first <= seq && seq <= last);
  }
}
