// @ts-check
/**
 * A table that is brought up to date in place, so that focus and selection stay.
 *
 * @template Row
 * @typedef {{title: string, of: (row: Row) => string | Node, number?: boolean}} Column
 */
import { el, setText } from "../shared/dom.js";
import { number } from "../shared/format.js";

/** @template Row */
export class Table {
  /** @type {Map<string, {element: Element, cells: Element[]}>} */
  #shown = new Map();
  /** @type {Row[]} */
  #rows = [];
  #wanted = "";

  /**
   * @param {Element} place
   * @param {{title: string, empty: string, key: (row: Row) => string,
   *   search: (row: Row) => string, columns: Column<Row>[]}} options
   */
  constructor(place, options) {
    this.options = options;
    const titles = options.columns.map(({ title, number: isNumber }) =>
      el("th", { scope: "col", class: isNumber ? "number" : "" }, title));
    this.count = el("span", { class: "list-count" });
    this.body = el("tbody");
    this.empty = el("p", { class: "muted list-empty" }, options.empty);
    this.table = el("table", {}, el("thead", {}, el("tr", {}, ...titles)), this.body);
    const heading = el("h2", {}, options.title, " ", this.count);
    place.append(heading, el("div", { class: "scroll" }, this.table), this.empty);
  }

  /** @param {Row[]} rows */
  show(rows) {
    this.#rows = rows;
    this.#draw();
  }

  /** @param {string} text that a row must hold */
  filter(text) {
    this.#wanted = text.trim().toLowerCase();
    this.#draw();
  }

  #draw() {
    const { key, search } = this.options;
    const rows = this.#rows.filter((row) => search(row).toLowerCase().includes(this.#wanted));
    const keys = new Set(rows.map(key));
    for (const [known, { element }] of this.#shown) {
      if (!keys.has(known)) {
        element.remove();
        this.#shown.delete(known);
      }
    }
    rows.forEach((row, index) => this.#drawRow(row, index));
    const all = rows.length === this.#rows.length ? "" : ` of ${number(this.#rows.length)}`;
    setText(this.count, `${number(rows.length)}${all}`);
    this.table.toggleAttribute("hidden", rows.length === 0);
    this.empty.toggleAttribute("hidden", rows.length > 0);
  }

  /** @param {Row} row @param {number} index */
  #drawRow(row, index) {
    const key = this.options.key(row);
    const shown = this.#shown.get(key) ?? this.#newRow();
    this.#shown.set(key, shown);
    this.options.columns.forEach(({ of }, column) => fill(shown.cells[column], of(row)));
    const there = this.body.children[index] ?? null;
    if (there !== shown.element) this.body.insertBefore(shown.element, there);
  }

  #newRow() {
    const cells = this.options.columns.map(({ number: isNumber }) => el("td", { class: isNumber ? "number" : "" }));
    return { element: el("tr", {}, ...cells), cells };
  }
}

/** @param {Element} cell @param {string | Node} content */
function fill(cell, content) {
  if (typeof content === "string") return setText(cell, content);
  // The same button again would take the focus from the one that has it.
  if (cell.textContent !== content.textContent) cell.replaceChildren(content);
  return undefined;
}
