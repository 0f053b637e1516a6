// @ts-check
/**
 * @typedef {import("../client/frames.js").EventFrame} EventFrame
 * @typedef {import("../client/frames.js").EphemeralFrame} EphemeralFrame
 */
import { el, nextFrame } from "../shared/dom.js";
import { icon } from "../shared/icons.js";
import { numberField, textField } from "../shared/values.js";

const LONGEST_CHARACTERS = 20_000;
/** Types of events that hold the whole of what was being written, or end it. */
const WHOLE = new Set(["agent_thinking", "tool_executing", "agent_completed", "agent_error"]);

/**
 * Text as it is being written. Pieces come at most once, and are gone after a reload;
 * the next event of the run holds what they were leading to, and takes their place.
 */
export class Draft {
  #text = "";
  #next = 0;

  constructor() {
    this.words = el("span", { dir: "auto" });
    this.element = el(
      "div",
      { class: "entry thought draft", hidden: true, "aria-hidden": "true" },
      icon("thought"),
      el("div", { class: "entry-body value-text" }, this.words, el("span", { class: "caret" })),
    );
    this.show = nextFrame(() => this.#show());
  }

  /** @param {EphemeralFrame} piece */
  add(piece) {
    const index = numberField(piece.data, "index") ?? this.#next;
    const lost = index > this.#next && this.#text !== "";
    this.#text = `${this.#text}${lost ? " … " : ""}${textField(piece.data, "text")}`.slice(-LONGEST_CHARACTERS);
    this.#next = index + 1;
    this.show();
  }

  /** @param {EventFrame} event of the same run */
  supersede(event) {
    if (this.#text === "" || !WHOLE.has(event.type)) return;
    this.#text = "";
    this.#show();
  }

  #show() {
    this.words.textContent = this.#text;
    this.element.toggleAttribute("hidden", this.#text === "");
  }
}
