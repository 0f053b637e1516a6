// @ts-check
/**
 * @typedef {import("../client/frames.js").EventFrame} EventFrame
 * @typedef {import("../client/frames.js").EphemeralFrame} EphemeralFrame
 * @typedef {import("./tick.js").Tick} Tick
 */
import { nextFrame } from "../shared/dom.js";
import { Run } from "./run.js";

const PIECES = "token_delta";

/**
 * All runs of a user, in the order in which they began. An event is shown once, however
 * often it comes: by its id, which a redriven event keeps.
 */
export class Runs {
  /** @type {Map<string, Tick>} */
  #ticks = new Map();
  /** @type {Map<string | null, Run>} */
  #byId = new Map();
  /** @type {Run[]} in the order of the page */
  #runs = [];
  #fold = nextFrame(() => this.#foldOld());

  /** @param {Element} place @param {(run: string) => boolean} cancel */
  constructor(place, cancel) {
    this.place = place;
    this.cancel = cancel;
    setInterval(() => this.#showTime(), 1000);
  }

  get count() {
    return this.#runs.length;
  }

  /**
   * Show an event if it is not shown already; it is on the page on return.
   * @param {EventFrame} event
   * @returns {Tick}
   */
  add(event) {
    const shown = this.#ticks.get(event.id);
    const tick = shown ?? this.#show(event);
    this.#ticks.set(event.id, tick);
    tick.mark(event.seq, "received");
    return tick;
  }

  /** @param {EphemeralFrame} piece of a run that is on the page */
  addPiece(piece) {
    if (piece.type === PIECES) this.#byId.get(piece.run ?? null)?.addPiece(piece);
  }

  /** @param {EventFrame} event */
  #show(event) {
    const id = event.run ?? null;
    const run = this.#byId.get(id) ?? new Run(id, this.cancel);
    const tick = run.add(event);
    this.#byId.set(id, run);
    if (run.seq === event.seq) this.#place(run);
    this.#fold();
    return tick;
  }

  /** Put a run where its first event belongs; nearly always at the end. @param {Run} run */
  #place(run) {
    const others = this.#runs.filter((other) => other !== run);
    let place = others.length;
    while (place > 0 && others[place - 1].seq > run.seq) place -= 1;
    if (this.#runs[place] === run) return;
    this.place.insertBefore(run.element, others[place]?.element ?? null);
    this.#runs = others.toSpliced(place, 0, run);
  }

  #foldOld() {
    const newest = this.#runs.reduce((last, run) => Math.max(last, run.lastSeq), 0);
    for (const run of this.#runs) run.setOpen(!run.isOver || run.lastSeq === newest);
  }

  #showTime() {
    if (document.hidden) return;
    for (const run of this.#runs) run.showTime(Date.now() / 1000);
  }
}
