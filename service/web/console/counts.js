// @ts-check
import { el, setText } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";

const OUTCOMES = ["published", "confirmed", "open", "dead", "expired", "discarded", "redriven", "unexplained"];
const QUANTILES = ["p50", "p95", "p99"];

/** Events by outcome: they add up, and `unexplained` says by how much they do not. */
export class Counts {
  #tiles;

  /** @param {Element} place */
  constructor(place) {
    this.#tiles = OUTCOMES.map((name) => ({ name, ...tile(place, name) }));
  }

  /** @param {Record<string, number>} counts */
  show(counts) {
    for (const { name, value, whole } of this.#tiles) {
      setText(value, number(counts[name]));
      whole.setAttribute("data-tone", tone(name, counts[name]));
    }
  }
}

/** Confirmation latency over recent events. */
export class Latencies {
  #tiles;

  /** @param {Element} place */
  constructor(place) {
    this.#tiles = QUANTILES.map((name) => ({ name, ...tile(place, name) }));
  }

  /** @param {Record<string, number | null>} latency */
  show(latency) {
    for (const { name, value } of this.#tiles) setText(value, duration(latency[name]));
  }
}

/** @param {string} name @param {number} count */
function tone(name, count) {
  if (name === "unexplained") return count === 0 ? "good" : "bad";
  if (count > 0 && name === "dead") return "bad";
  if (count > 0 && (name === "expired" || name === "open")) return "warn";
  return "";
}

/** @param {Element} place @param {string} name */
function tile(place, name) {
  const value = el("dd", { id: `count-${name}` }, "–");
  const whole = el("div", { class: "tile" }, el("dt", {}, name), value);
  place.append(whole);
  return { value, whole };
}
