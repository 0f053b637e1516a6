// @ts-check
import { el } from "../shared/dom.js";
import { exactMoment, moment } from "../shared/format.js";

/** A chart's numbers as a table, newest first, made when somebody opens it. */
export class ChartTable {
  /** @type {import("./chart.js").Point[]} */
  #points = [];

  /** @param {{title: string, series: string[], format: (value: number) => string}} options */
  constructor(options) {
    this.options = options;
    this.body = el("tbody");
    const titles = ["Time", ...options.series].map((title, index) => el("th", { scope: "col", class: index > 0 ? "number" : "" }, title));
    const table = el("table", {}, el("caption", { class: "sr-only" }, options.title), el("thead", {}, el("tr", {}, ...titles)), this.body);
    const scroller = el("div", { class: "chart-numbers", tabindex: 0, role: "region", "aria-label": `${options.title}, numbers` }, table);
    this.element = /** @type {HTMLDetailsElement} */ (
      el("details", { class: "chart-table" }, el("summary", {}, "As a table", el("span", { class: "sr-only" }, `: ${options.title}`)), scroller)
    );
    this.element.addEventListener("toggle", () => this.#draw());
  }

  /** @param {import("./chart.js").Point[]} points */
  show(points) {
    this.#points = points;
    this.#draw();
  }

  #draw() {
    if (!this.element.open) return;
    this.body.replaceChildren(...this.#points.toReversed().map((point) => this.#row(point)));
  }

  /** @param {import("./chart.js").Point} point */
  #row({ at, values }) {
    const cells = values.map((value) => el("td", { class: "number" }, value === null ? "–" : this.options.format(value)));
    return el("tr", {}, el("th", { scope: "row" }, el("time", { datetime: exactMoment(at) }, moment(at))), ...cells);
  }
}
