// @ts-check
/**
 * What could not be shown: events that the service gave up.
 *
 * @typedef {import("../client/frames.js").EventFrame} EventFrame
 */
import { setText } from "../shared/dom.js";
import { counted } from "../shared/format.js";

/** The notice above the runs, as long as there is something to say. */
export class Missed {
  /** @type {Set<number>} */
  #dead = new Set();
  /** @type {Map<string, Set<number>>} the seqs under which an event came but was not shown */
  #came = new Map();

  /** @param {Element} place */
  constructor(place) {
    this.place = place;
  }

  /** Note an event before it is shown. @param {EventFrame} event */
  came({ id, seq }) {
    const seqs = this.#came.get(id) ?? new Set();
    this.#came.set(id, seqs.add(seq));
  }

  /** Note that an event is on the page, also one that had been given up. @param {EventFrame} event */
  shown({ id }) {
    for (const seq of this.#came.get(id) ?? []) this.#dead.delete(seq);
    this.#came.delete(id);
    this.#show();
  }

  /** @param {{seqs: import("../client/ranges.js").Ranges, outcome: string}} settled */
  settled({ seqs, outcome }) {
    for (const [from, to] of seqs) {
      for (let seq = from; seq <= to; seq += 1) {
        if (outcome === "dead") this.#dead.add(seq);
        else this.#dead.delete(seq);
      }
    }
    this.#show();
  }

  /** Forget everything: the numbers mean something else now. */
  startOver() {
    this.#dead.clear();
    this.#came.clear();
    this.#show();
  }

  #show() {
    const count = this.#dead.size;
    this.place.toggleAttribute("hidden", count === 0);
    const it = count === 1 ? "it" : "them";
    setText(this.place, `${counted(count, "event")} could not be shown here. Support has ${it}.`);
  }
}
