// @ts-check
/**
 * Which dead letters are looked at: a form, kept in the URL.
 *
 * @typedef {{user?: string, type?: string, run?: string, reason?: string}} Filter
 */
import { el } from "../shared/dom.js";
import { go } from "./route.js";

const FIELDS = Object.freeze(["user", "type", "run", "reason"]);
const LABELS = Object.freeze(["User", "Type", "Run", "Reason", "State"]);
const STATES = Object.freeze(["open", "redriven", "discarded", "any"]);

export class LetterFilter {
  /** @type {Filter} */
  filter = {};
  state = "open";

  constructor() {
    this.inputs = FIELDS.map((name) =>
      /** @type {HTMLInputElement} */ (
        el("input", { id: `letter-${name}`, name, class: "field", type: "search", autocomplete: "off", spellcheck: "false" })
      ));
    this.select = /** @type {HTMLSelectElement} */ (
      el("select", { id: "letter-state", class: "field" }, ...STATES.map((name) => el("option", { value: name }, name)))
    );
    const labelled = [...this.inputs, this.select].map((input, index) =>
      el("div", { class: "labelled" }, el("label", { for: input.id }, LABELS[index]), input));
    this.element = el(
      "form",
      { class: "filter", "aria-label": "Filter the dead letters" },
      ...labelled,
      el("button", { class: "button" }, "Filter"),
      el("button", { class: "button quiet", type: "button", onclick: () => go({ view: "dead-letters" }) }, "Clear"),
    );
    this.element.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      this.go(Object.fromEntries(this.inputs.map((input) => [input.name, input.value.trim()])), this.select.value);
    });
  }

  /** @param {import("./route.js").Route} route */
  read(route) {
    this.filter = Object.fromEntries(FIELDS.filter((name) => route[name] !== undefined).map((name) => [name, route[name]]));
    this.state = STATES.includes(route["state"]) ? route["state"] : "open";
    for (const input of this.inputs) input.value = route[input.name] ?? "";
    this.select.value = this.state;
  }

  /** @param {Filter} filter */
  go(filter, state = this.state) {
    go({ view: "dead-letters", ...filter, state: state === "open" ? "" : state });
  }
}
