// @ts-check
/** @typedef {import("../client/frames.js").EventFrame} EventFrame */
import { el, nextFrame, setText } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { numberField, textField } from "../shared/values.js";
import { Tick } from "./tick.js";

/** How far a run is: the newest of its progress events. */
export class Progress {
  /** @type {EventFrame | null} */
  #newest = null;
  #tick = new Tick();

  constructor() {
    this.bar = el("progress", { "aria-label": "Progress" });
    this.words = el("span", { class: "progress-words", dir: "auto" });
    this.count = el("span", { class: "progress-count muted" });
    const line = el("div", { class: "progress-line" }, this.words, this.count, this.#tick.element);
    this.element = el("div", { class: "progress", hidden: true }, this.bar, line);
    this.show = nextFrame(() => this.#show());
  }

  /** @param {EventFrame} event */
  add(event) {
    if (this.#newest === null || event.seq > this.#newest.seq) this.#newest = event;
    this.show();
    return this.#tick;
  }

  #show() {
    if (this.#newest === null) return;
    const done = numberField(this.#newest.data, "done") ?? 0;
    const total = numberField(this.#newest.data, "total");
    this.element.removeAttribute("hidden");
    this.bar.toggleAttribute("hidden", !total || total <= 0);
    if (total && total > 0) {
      this.bar.setAttribute("max", String(total));
      this.bar.setAttribute("value", String(Math.min(Math.max(done, 0), total)));
    }
    setText(this.words, textField(this.#newest.data, "text"));
    setText(this.count, total === null ? number(done) : `${number(done)} of ${number(total)}`);
  }
}
