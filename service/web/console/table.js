// @ts-check
/**
 * A table that is brought up to date in place, so that focus and selection stay.
 *
 * @template Row
 * @typedef {{title: string, of: (row: Row) => string | Node, number?: boolean,
 *   hidden?: boolean, kind?: string}} Column `hidden`: its title is for screen readers;
 *   `kind`: a class of its cells
 */
import { el, setText } from "../shared/dom.js";
import { number } from "../shared/format.js";

/** @template Row */
export class Table {
  /** @type {Map<string, {element: Element, cells: Element[]}>} */
  #shown = new Map();

  /**
   * @param {Element} place
   * @param {{title: string, empty: string, key: (row: Row) => string,
   *   columns: Column<Row>[], level?: string, header?: number, uncounted?: boolean}} options
   *   `header`: the column that names the row
   */
  constructor(place, options) {
    this.options = options;
    this.header = options.header ?? 0;
    this.count = el("span", { class: "list-count" });
    this.body = el("tbody");
    this.empty = el("p", { class: "muted list-empty" }, options.empty);
    this.heading = el(options.level ?? "h2", {}, options.title, " ", options.uncounted === true ? null : this.count);
    this.table = el(
      "table",
      {},
      el("caption", { class: "sr-only" }, options.title),
      el("thead", {}, el("tr", {}, ...options.columns.map(title))),
      this.body,
    );
    this.scroller = el("div", { class: "scroll", role: "region", "aria-label": options.title }, this.table);
    place.append(this.heading, this.scroller, this.empty);
    // What must be scrolled must be reachable by keyboard; nothing else should be.
    new ResizeObserver(() => this.#reachable()).observe(this.scroller);
  }

  /** @param {Row[]} rows @param {number} [total] when these are not all */
  show(rows, total = rows.length) {
    const keys = new Set(rows.map(this.options.key));
    for (const [known, { element }] of this.#shown) {
      if (!keys.has(known)) {
        element.remove();
        this.#shown.delete(known);
      }
    }
    rows.forEach((row, index) => this.#drawRow(row, index));
    setText(this.count, total > rows.length ? `${number(rows.length)} of ${number(total)}` : number(rows.length));
    this.table.toggleAttribute("hidden", rows.length === 0);
    this.empty.toggleAttribute("hidden", rows.length > 0);
    this.#reachable();
  }

  #reachable() {
    const wide = this.scroller.scrollWidth > this.scroller.clientWidth;
    if (wide) this.scroller.setAttribute("tabindex", "0");
    else this.scroller.removeAttribute("tabindex");
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
    const cells = this.options.columns.map((column, index) =>
      el(index === this.header ? "th" : "td", { scope: index === this.header ? "row" : null, class: classes(column) }));
    return { element: el("tr", {}, ...cells), cells };
  }
}

/** @param {Column<any>} column */
function title(column) {
  const text = column.hidden === true ? el("span", { class: "sr-only" }, column.title) : column.title;
  return el("th", { scope: "col", class: classes(column) }, text);
}

/** @param {Column<any>} column */
function classes({ number: isNumber, kind }) {
  return [isNumber === true ? "number" : "", kind ?? ""].join(" ").trim() || null;
}

/** @param {Element} cell @param {string | Node} content */
function fill(cell, content) {
  if (typeof content === "string") return setText(cell, content);
  // The same link again would take the focus from the one that has it.
  const there = cell.firstElementChild;
  const same = there !== null && content instanceof Element && there.isEqualNode(content);
  if (!same) cell.replaceChildren(content);
  return undefined;
}
