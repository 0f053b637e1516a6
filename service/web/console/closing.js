// @ts-check
/**
 * Redriving and discarding dead letters: in pieces, with progress, until none remains.
 *
 * @typedef {{event_id: string, user: string}} Name
 * @typedef {{names: Name[]} | {filter: Record<string, unknown>, count: number}} Wanted
 * @typedef {{done: number, remaining: number, skipped: {reason: string}[]}} Result
 */
import { el, setText } from "../shared/dom.js";
import { counted, number, words } from "../shared/format.js";
import { confirm, numberField } from "./confirm.js";
import { showingProblems } from "./view.js";

const SECONDS = 2; // that one request takes, about: progress is seen, and can be stopped
const AT_ONCE = 1_000;

const WAYS = Object.freeze({
  redrive: {
    path: "/v1/dead-letters/redrive",
    title: "Redrive dead letters",
    done: "redriven",
    line: "They are sent again: the same ids, at the end of their users’ streams, with new attempts. Clients that still cannot handle them make dead letters of them again.",
  },
  discard: {
    path: "/v1/dead-letters/discard",
    title: "Discard dead letters",
    done: "discarded",
    line: "They are given up for good. This cannot be taken back.",
  },
});

/** @typedef {keyof typeof WAYS} Way */

/**
 * Ask the operator, then close these letters; returns whether anything was asked for.
 * @param {import("./service.js").Service} service @param {Element} place for the progress
 * @param {Way} way @param {Wanted} wanted
 */
export async function closeLetters(service, place, way, wanted) {
  const { title, line } = WAYS[way];
  const count = "names" in wanted ? wanted.names.length : wanted.count;
  const rate = numberField("Per second, at most", { value: 100, min: 1, max: 1_000 });
  const agreed = await confirm({
    title,
    lines: [`${counted(count, "dead letter")} will be ${WAYS[way].done}.`, line],
    fields: way === "redrive" ? [rate] : [],
    action: `${way === "redrive" ? "Redrive" : "Discard"} ${number(count)}`,
    danger: way === "discard",
  });
  if (!agreed) return false;
  const perSecond = way === "redrive" ? rate.value() : AT_ONCE;
  await showingProblems(place, () => new Closing(service, place, way, count, perSecond).run(wanted));
  return true;
}

class Closing {
  #done = 0;
  /** @type {Map<string, number>} */
  #skipped = new Map();
  #stopped = false;

  /**
   * @param {import("./service.js").Service} service @param {Element} place
   * @param {Way} way @param {number} count @param {number} perSecond
   */
  constructor(service, place, way, count, perSecond) {
    this.service = service;
    this.way = way;
    this.count = count;
    this.perSecond = perSecond;
    this.bar = /** @type {HTMLProgressElement} */ (el("progress", { max: Math.max(1, count), value: 0, "aria-label": "Progress" }));
    this.text = el("p", { role: "status" });
    this.stop = el("button", { class: "button small", type: "button", onclick: () => this.#stop() }, "Stop");
    this.panel = el("div", { class: "progress" }, this.text, this.bar, this.stop);
    place.replaceChildren(this.panel);
  }

  /** @param {Wanted} wanted */
  async run(wanted) {
    this.#say();
    const limit = Math.max(1, Math.min(AT_ONCE, Math.round(this.perSecond * SECONDS)));
    if ("names" in wanted) await this.#all(wanted.names, limit);
    else await this.#untilNone(wanted.filter, limit);
    this.bar.remove();
    this.stop.remove();
    this.#say(this.#stopped ? "Stopped." : "Finished.");
  }

  /** @param {Name[]} names @param {number} limit */
  async #all(names, limit) {
    for (let start = 0; start < names.length && !this.#stopped; start += limit) {
      await this.#post({ events: names.slice(start, start + limit), limit });
    }
  }

  /** @param {Record<string, unknown>} filter @param {number} limit */
  async #untilNone(filter, limit) {
    for (let remaining = 1; remaining > 0 && !this.#stopped;) {
      const result = await this.#post({ filter, limit });
      remaining = result.remaining;
      this.count = Math.max(this.count, this.#closed() + remaining);
      this.#say();
    }
  }

  /** @param {Record<string, unknown>} body @returns {Promise<Result>} */
  async #post(body) {
    const asked = this.way === "redrive" ? { ...body, per_second: this.perSecond } : body;
    const result = await this.service.post(WAYS[this.way].path, asked, (why) => this.#say(why));
    this.#done += result.done;
    for (const { reason } of result.skipped) this.#skipped.set(reason, (this.#skipped.get(reason) ?? 0) + 1);
    this.#say();
    return result;
  }

  #stop() {
    this.#stopped = true;
    this.stop.setAttribute("disabled", "");
  }

  #closed() {
    return this.#done + [...this.#skipped.values()].reduce((all, one) => all + one, 0);
  }

  #say(more = "") {
    this.bar.max = Math.max(1, this.count);
    this.bar.value = this.#closed();
    const skipped = [...this.#skipped].map(([reason, times]) => `${number(times)} left alone (${words(reason)})`);
    const said = [`${number(this.#done)} of ${number(this.count)} ${WAYS[this.way].done}`, ...skipped].join(", ");
    setText(this.text, `${said}. ${more}`.trim());
  }
}
