// @ts-check
import { el, setText, svg } from "../shared/dom.js";

const SAMPLES = 240; // four minutes, one a second
const WIDTH = 480;
const HEIGHT = 110;
const STEPS = [1, 2, 5];

/**
 * The last minutes of one number, newest at the right.
 *
 * @typedef {{name: string, format: (value: number) => string}} Options
 */
export class Chart {
  /** @type {(number | null)[]} */
  #samples = [];

  /** @param {Element} place @param {Options} options */
  constructor(place, { name, format }) {
    this.name = name;
    this.format = format;
    this.area = svg("path", { class: "chart-area" });
    this.line = svg("path", { class: "chart-line" });
    this.top = el("span", { class: "chart-top" });
    this.now = el("span", { class: "chart-now" }, "–");
    const grid = [0, 0.5, 1].map((part) => svg("path", { class: "chart-grid", d: `M0 ${y(part)}H${WIDTH}` }));
    this.picture = svg(
      "svg",
      { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img" },
      ...grid,
      this.area,
      this.line,
    );
    const times = el("div", { class: "chart-times" }, el("span", {}, "4 min ago"), el("span", {}, "now"));
    place.append(el("div", { class: "chart-frame" }, this.now, this.top, this.picture), times);
  }

  /** @param {number | null} value null: there was nothing to measure */
  add(value) {
    this.#samples = [...this.#samples, value].slice(-SAMPLES);
    this.#draw();
  }

  #draw() {
    const highest = Math.max(...this.#samples.map((value) => value ?? 0));
    const scale = ceiling(highest);
    const runs = segments(this.#samples).map((run) => run.map(([x, value]) => `${x.toFixed(1)} ${y(value / scale).toFixed(1)}`));
    this.line.setAttribute("d", runs.map((points) => `M${points.join("L")}`).join(""));
    this.area.setAttribute("d", runs.map((points) => `M${points.join("L")}L${last(points)} ${HEIGHT}L${first(points)} ${HEIGHT}Z`).join(""));
    const now = this.#samples.at(-1) ?? null;
    const said = now === null ? "–" : this.format(now);
    setText(this.now, said);
    setText(this.top, highest > 0 ? this.format(scale) : "");
    this.picture.setAttribute("aria-label", `${this.name}: ${said} now, at most ${this.format(highest)} in four minutes`);
  }
}

/** Unbroken stretches of samples. @param {(number | null)[]} samples */
function segments(samples) {
  const offset = SAMPLES - samples.length;
  /** @type {[number, number][][]} */
  const runs = [[]];
  samples.forEach((value, index) => {
    if (value === null) runs.push([]);
    else runs.at(-1)?.push([((offset + index) / (SAMPLES - 1)) * WIDTH, value]);
  });
  return runs.filter((run) => run.length > 0);
}

/** A round number at or above this one. @param {number} value */
function ceiling(value) {
  if (value <= 0) return 1;
  const power = 10 ** Math.floor(Math.log10(value));
  const step = STEPS.find((one) => one * power >= value) ?? 10;
  return step * power;
}

/** @param {number} part of the height, from below */
function y(part) {
  return HEIGHT - 2 - part * (HEIGHT - 6);
}

/** @param {string[]} points */
function first(points) {
  return points[0].split(" ")[0];
}

/** @param {string[]} points */
function last(points) {
  return points[points.length - 1].split(" ")[0];
}
