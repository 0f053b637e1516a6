// @ts-check
/**
 * Lines over time, with axes, a legend that reads out a moment, and the same as a table.
 *
 * @typedef {{name: string, of: (point: any) => number | null}} Series
 * @typedef {{at: number, values: (number | null)[]}} Point
 */
import { el, setText, svg } from "../shared/dom.js";
import { ChartTable } from "./chart_table.js";
import { timeMarks, valueMarks } from "./scale.js";

const HEIGHT = 168;
const LEFT = 52;
const RIGHT = 12;
const TOP = 8;
const BOTTOM = 24;
const MARK_PIXELS = 84;
const CLOCK = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const EXACT = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const KEYS = Object.freeze({ ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 });

export class Chart {
  /** @type {Point[]} */
  #points = [];
  #from = 0;
  #to = 1;
  #gap = Infinity;
  #width = 0;
  /** The moment that is read out; null: the newest. @type {number | null} */
  #chosen = null;

  /**
   * @param {Element} place
   * @param {{title: string, note?: string, series: string[], whole?: boolean,
   *   format: (value: number) => string}} options
   */
  constructor(place, options) {
    this.options = options;
    this.grid = svg("g", { class: "chart-grid" });
    this.lines = options.series.map((_, index) => svg("path", { class: `chart-line line-${index + 1}` }));
    this.cursor = svg("path", { class: "chart-cursor" });
    this.dots = options.series.map((_, index) => svg("circle", { class: `chart-dot line-${index + 1}`, r: 3.5 }));
    this.picture = svg("svg", { class: "chart-picture", height: HEIGHT, "aria-hidden": "true" }, this.grid, ...this.lines, this.cursor, ...this.dots);
    this.when = el("span", { class: "chart-when muted" });
    this.readings = options.series.map(() => el("span", { class: "chart-reading" }, "–"));
    this.frame = el("div", { class: "chart-frame", tabindex: 0, role: "slider", "aria-label": `${options.title}, moment`, "aria-orientation": "horizontal" }, this.picture);
    this.waiting = el("p", { class: "chart-waiting muted" }, "The first points come within half a minute.");
    this.table = new ChartTable(options);
    place.append(this.#head(), this.frame, this.waiting, this.table.element);
    this.#listen();
  }

  /**
   * @param {Point[]} points in order @param {{from: number, to: number, gap: number}} span
   *   what the chart spans; points further apart than `gap` seconds are not joined
   */
  show(points, { from, to, gap }) {
    this.#points = points;
    this.#from = from;
    this.#to = to;
    this.#gap = gap;
    this.#draw();
    this.table.show(points);
  }

  #head() {
    const keys = this.options.series.map((name, index) =>
      el("li", {}, keyPicture(index), el("span", { class: "chart-key" }, name), this.readings[index]));
    return el(
      "header",
      { class: "chart-head" },
      el("h3", {}, this.options.title, this.options.note === undefined ? null : el("span", { class: "muted chart-note" }, ` ${this.options.note}`)),
      this.when,
      el("ul", { class: "chart-legend" }, ...keys),
    );
  }

  #listen() {
    new ResizeObserver(() => {
      this.#width = this.frame.clientWidth;
      this.#draw();
    }).observe(this.frame);
    this.frame.addEventListener("pointermove", (event) => this.#choose(this.#nearest(/** @type {PointerEvent} */ (event))));
    this.frame.addEventListener("pointerleave", () => this.#choose(null));
    this.frame.addEventListener("blur", () => this.#choose(null));
    this.frame.addEventListener("keydown", (event) => this.#step(/** @type {KeyboardEvent} */ (event)));
  }

  /** @param {KeyboardEvent} pressed */
  #step(pressed) {
    const { key } = pressed;
    const lastIndex = this.#points.length - 1;
    const now = this.#chosenIndex() ?? lastIndex;
    const by = key in KEYS ? KEYS[/** @type {keyof KEYS} */ (key)] : null;
    const next = key === "Home" ? 0 : key === "End" ? lastIndex : by === null ? null : now + by;
    if (next === null || lastIndex < 0) return;
    pressed.preventDefault();
    this.#choose(this.#points[Math.max(0, Math.min(lastIndex, next))].at);
  }

  /** @param {PointerEvent} event */
  #nearest(event) {
    const at = this.#from + ((event.offsetX - LEFT) / this.#inner()) * (this.#to - this.#from);
    const by = (/** @type {Point} */ point) => Math.abs(point.at - at);
    return this.#points.reduce((/** @type {Point | null} */ best, point) => (best === null || by(point) < by(best) ? point : best), null)?.at ?? null;
  }

  /** @param {number | null} at */
  #choose(at) {
    this.#chosen = at;
    this.#read(this.#marks());
  }

  #chosenIndex() {
    const index = this.#points.findIndex((point) => point.at === this.#chosen);
    return index < 0 ? null : index;
  }

  #draw() {
    const empty = this.#points.length === 0;
    this.frame.toggleAttribute("hidden", empty);
    this.waiting.toggleAttribute("hidden", !empty);
    if (empty || this.#width === 0) return;
    this.picture.setAttribute("width", String(this.#width));
    const marks = this.#marks();
    this.grid.replaceChildren(...this.#axes(marks));
    this.lines.forEach((line, index) => line.setAttribute("d", this.#path(index, marks)));
    this.#read(marks);
  }

  #marks() {
    const highest = Math.max(0, ...this.#points.flatMap(({ values }) => values.map((value) => value ?? 0)));
    return valueMarks(highest, { whole: this.options.whole === true });
  }

  /** @param {number[]} marks */
  #axes(marks) {
    const right = this.#width - RIGHT;
    const values = marks.flatMap((mark) => {
      const y = this.#y(mark, marks);
      return [svg("path", { d: `M${LEFT} ${y}H${right}` }), svg("text", { x: LEFT - 8, y: y + 4, "text-anchor": "end" }, this.options.format(mark))];
    });
    const times = timeMarks(this.#from, this.#to, Math.max(2, this.#inner() / MARK_PIXELS)).flatMap((at) => {
      const x = this.#x(at);
      const label = x > right - 18 || x < LEFT + 14 ? [] : [svg("text", { x, y: HEIGHT - 6, "text-anchor": "middle" }, CLOCK.format(at * 1000))];
      return [svg("path", { d: `M${x} ${HEIGHT - BOTTOM}v4` }), ...label];
    });
    return [...values, ...times];
  }

  /** @param {number} series @param {number[]} marks */
  #path(series, marks) {
    let before = -Infinity;
    return this.#points
      .map(({ at, values }) => {
        const value = values[series];
        if (value === null) {
          before = -Infinity;
          return "";
        }
        const place = `${this.#x(at).toFixed(1)} ${this.#y(value, marks).toFixed(1)}`;
        const joined = at - before <= this.#gap;
        before = at;
        return joined ? `L${place}` : `M${place}h0.01`; // a lone point shows, too
      })
      .join("");
  }

  /** @param {number[]} marks */
  #read(marks) {
    const index = this.#chosenIndex();
    const point = this.#points[index ?? this.#points.length - 1];
    if (point === undefined) return;
    const said = point.values.map((value) => (value === null ? "–" : this.options.format(value)));
    said.forEach((text, series) => setText(this.readings[series], text));
    const when = EXACT.format(point.at * 1000);
    setText(this.when, index === null ? `now, ${when}` : when);
    this.cursor.setAttribute("d", index === null ? "" : `M${this.#x(point.at).toFixed(1)} ${TOP}V${HEIGHT - BOTTOM}`);
    this.dots.forEach((dot, series) => {
      const value = point.values[series];
      dot.toggleAttribute("hidden", index === null || value === null);
      dot.setAttribute("cx", String(this.#x(point.at)));
      dot.setAttribute("cy", String(this.#y(value ?? 0, marks)));
    });
    this.frame.setAttribute("aria-valuemin", "0");
    this.frame.setAttribute("aria-valuemax", String(this.#points.length - 1));
    this.frame.setAttribute("aria-valuenow", String(index ?? this.#points.length - 1));
    this.frame.setAttribute("aria-valuetext", `${when}: ${this.options.series.map((name, series) => `${name} ${said[series]}`).join(", ")}`);
  }

  #inner() {
    return Math.max(1, this.#width - LEFT - RIGHT);
  }

  /** @param {number} at */
  #x(at) {
    return LEFT + ((at - this.#from) / (this.#to - this.#from)) * this.#inner();
  }

  /** @param {number} value @param {number[]} marks */
  #y(value, marks) {
    const highest = marks[marks.length - 1];
    return HEIGHT - BOTTOM - (value / highest) * (HEIGHT - BOTTOM - TOP);
  }
}

/** @param {number} index */
function keyPicture(index) {
  return svg("svg", { class: "chart-key-picture", width: 18, height: 8, "aria-hidden": "true" }, svg("path", { class: `chart-line line-${index + 1}`, d: "M1 4H17" }));
}
