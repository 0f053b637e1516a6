// @ts-check
/** @typedef {import("../client/frames.js").EventFrame} EventFrame */
import { el, setText } from "../shared/dom.js";
import { duration } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { brief, field, numberField, textField, textView, valueView } from "../shared/values.js";
import { marks } from "./entries.js";
import { Tick } from "./tick.js";

/** A call of a tool: that it began, and how it ended, in whatever order they come. */
export class ToolCall {
  seq;
  tick = new Tick();
  /** @type {EventFrame | null} */
  began = null;
  /** @type {EventFrame | null} */
  ended = null;
  #over = false;

  /** @param {EventFrame} event the first of the two to come */
  constructor(event) {
    this.seq = event.seq;
    this.status = el("span", { class: "call-status" });
    this.glance = el("span", { class: "call-glance mono", dir: "auto" });
    const name = textField(event.data, "tool") || "tool";
    this.summary = el(
      "summary",
      { class: "entry-head" },
      icon("tool"),
      el("strong", { class: "name mono", dir: "auto" }, name),
      this.glance,
      this.status,
      marks(event, this.tick),
    );
    this.details = el("details", { ontoggle: () => this.#fill() }, this.summary);
    this.element = el("div", { class: "entry call" }, this.details);
    this.add(event);
  }

  /** @param {EventFrame} event */
  add(event) {
    if (event.type === "tool_executing") this.began = event;
    else this.ended = event;
    this.seq = Math.min(this.seq, event.seq);
    this.#show();
  }

  /** The run is over: what has not ended by now has no result. */
  close() {
    this.#over = true;
    if (this.ended === null) this.#show();
  }

  /** Say how long the call has been running. @param {number} now seconds since 1970 */
  showTime(now) {
    if (this.began === null || this.ended !== null || this.#over) return;
    const seconds = Math.floor(now - this.began.at);
    setText(this.status, seconds < 2 ? "running" : `running, ${duration(seconds)}`);
  }

  #show() {
    this.element.setAttribute("data-state", this.#state());
    if (this.began !== null) this.glance.textContent = brief(field(this.began.data, "arguments") ?? "");
    this.status.textContent = this.#said();
    const error = this.ended !== null && this.#state() === "failed";
    if (error) this.details.setAttribute("open", "");
    if (this.details.hasAttribute("open")) this.#fill(true);
  }

  #state() {
    if (this.ended === null) return this.#over ? "lost" : "running";
    return field(this.ended.data, "ok") === false ? "failed" : "ok";
  }

  #said() {
    if (this.ended === null) return this.#over ? "no result" : "running";
    const took = numberField(this.ended.data, "duration_seconds");
    const word = this.#state() === "ok" ? "done" : "failed";
    return took === null ? word : `${word}, ${duration(took)}`;
  }

  /** Make what is inside when it is opened, and anew when it has changed. */
  #fill(again = false) {
    if (this.details.childElementCount > 1 && !again) return;
    const body = el("div", { class: "call-body" }, this.#argumentsView(), this.#outcomeView());
    this.details.replaceChildren(this.summary, body);
  }

  #argumentsView() {
    if (this.began === null) return el("p", { class: "muted" }, "The beginning of this call is not in view.");
    return part("Arguments", valueView(field(this.began.data, "arguments") ?? null));
  }

  #outcomeView() {
    if (this.ended === null) return null;
    const error = field(this.ended.data, "error");
    if (this.#state() === "ok") return part("Result", valueView(field(this.ended.data, "result") ?? null));
    const kind = textField(error, "kind");
    return part(kind ? `Error: ${kind}` : "Error", textView(textField(error, "message")));
  }
}

/** @param {string} title @param {Node} body */
function part(title, body) {
  return el("div", { class: "call-part" }, el("div", { class: "call-title" }, title), body);
}
