// @ts-check
import { el, setText } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";

const OUTCOMES = ["published", "confirmed", "open", "dead", "expired", "discarded", "redriven", "unexplained"];
const LISTED = 100;
const QUANTILES = ["p50", "p95", "p99"];

/**
 * Events by outcome: they add up, and `unexplained` says by how much they do not.
 * Beside them how old the oldest open event is, and how long confirmations take.
 */
export class Counts {
  #tiles;
  #oldest;
  #quantiles;

  /** @param {Element} place */
  constructor(place) {
    const [published, confirmed, open, ...others] = OUTCOMES.map((name) => ({ name, ...tile(name, name) }));
    this.#tiles = [published, confirmed, open, ...others];
    this.#oldest = tile("oldest", "oldest open");
    this.#quantiles = QUANTILES.map((name) => ({ name, ...tile(name, `${name} latency`) }));
    const tiles = [published, confirmed, open, this.#oldest, ...others, ...this.#quantiles];
    place.append(el("dl", { id: "counts", class: "tiles" }, ...tiles.map(({ whole }) => whole)));
  }

  /** @param {any} status @param {any} [sample] the newest one */
  show({ counts, latency, streams }, sample) {
    for (const { name, value, whole } of this.#tiles) {
      setText(value, number(counts[name]));
      whole.setAttribute("data-tone", tone(name, counts[name]));
    }
    const ages = streams.map((/** @type {any} */ stream) => stream.oldest_open_seconds ?? 0);
    // Of many streams only the longest backlogs are listed.
    const unlisted = streams.length < LISTED ? 0 : (sample?.oldest_open_seconds ?? 0);
    const oldest = Math.max(0, unlisted, ...ages);
    setText(this.#oldest.value, oldest === 0 ? "–" : duration(oldest));
    for (const { name, value } of this.#quantiles) setText(value, duration(latency[name]));
  }
}

/** @param {string} name @param {number} count */
function tone(name, count) {
  if (name === "unexplained") return count === 0 ? "good" : "bad";
  if (count > 0 && name === "dead") return "bad";
  if (count > 0 && (name === "expired" || name === "open")) return "warn";
  return "";
}

/** @param {string} name @param {string} title */
function tile(name, title) {
  const value = el("dd", { id: `count-${name}` }, "–");
  return { value, whole: el("div", { class: "tile" }, el("dt", {}, title), value) };
}
