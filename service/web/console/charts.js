// @ts-check
/** The service over time, from its samples. */
import { el } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";
import { Chart } from "./chart.js";

const SPANS = Object.freeze([
  { minutes: 15, name: "15 min" },
  { minutes: 60, name: "1 h" },
  { minutes: 360, name: "6 h" },
  { minutes: 1440, name: "24 h" },
]);
const FRESH_MILLISECONDS = 4_000;
const SAMPLE_SECONDS = 10;
const POINTS = 360;
const MISSED = 3.5; // samples in a row: then the line is broken

/** @typedef {Record<string, number> & {p50: number | null, p99: number | null}} Sample */

export class Charts {
  #minutes = 60;
  #askedAt = -Infinity;
  /** The newest sample. @type {Sample | undefined} */
  newest = undefined;

  /** @param {Element} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.service = service;
    const card = () => el("article", { class: "card chart" });
    const [rates, latency, backlog, sessions] = [card(), card(), card(), card()];
    place.append(this.#head(), rates, latency, backlog, sessions);
    this.rates = new Chart(rates, { title: "Events", note: "per second", series: ["published", "confirmed", "failed attempts"], format: rate });
    this.latency = new Chart(latency, { title: "Confirmation latency", series: ["p50", "p99"], format: seconds });
    this.backlog = new Chart(backlog, { title: "Backlog", note: "events", series: ["open", "dead letters"], format: number, whole: true });
    this.sessions = new Chart(sessions, { title: "Sessions", note: "live", series: ["sessions"], format: number, whole: true });
  }

  async refresh() {
    if (performance.now() - this.#askedAt < FRESH_MILLISECONDS) return;
    this.#askedAt = performance.now();
    const minutes = this.#minutes;
    const { samples } = await this.service.get("/v1/samples", { minutes });
    if (minutes === this.#minutes) this.#show(samples);
  }

  #head() {
    const choose = (/** @type {Event} */ event) => {
      this.#minutes = Number(/** @type {HTMLInputElement} */ (event.target).value);
      this.#askedAt = -Infinity;
      void this.refresh().catch(() => undefined); // the next turn says what is wrong
    };
    const choices = SPANS.map(({ minutes, name }) =>
      el(
        "label",
        { class: "choice" },
        el("input", { type: "radio", name: "minutes", value: minutes, checked: minutes === this.#minutes, onchange: choose }),
        el("span", {}, name),
      ));
    return el("fieldset", { class: "choices" }, el("legend", {}, "The last"), ...choices);
  }

  /** @param {Sample[]} samples */
  #show(samples) {
    this.newest = samples.at(-1);
    const to = Math.max(this.newest?.["at"] ?? 0, 0);
    const step = Math.max(SAMPLE_SECONDS, (this.#minutes * 60) / POINTS);
    const span = { from: to - this.#minutes * 60, to, gap: MISSED * step };
    this.rates.show(rates(samples, span.gap), span);
    this.latency.show(samples.map((one) => ({ at: one["at"], values: [one.p50, one.p99] })), span);
    this.backlog.show(samples.map((one) => ({ at: one["at"], values: [one["open"], one["dead"]] })), span);
    this.sessions.show(samples.map((one) => ({ at: one["at"], values: [one["sessions"]] })), span);
  }
}

/**
 * What happened per second between samples that follow each other.
 * @param {Sample[]} samples @param {number} gap
 */
function rates(samples, gap) {
  return samples.slice(1).map((one, index) => {
    const before = samples[index];
    const seconds = one["at"] - before["at"];
    if (seconds > gap || seconds <= 0) return { at: one["at"], values: [null, null, null] };
    const since = (/** @type {string} */ name) => Math.max(0, one[name] - before[name]) / seconds;
    return { at: one["at"], values: [since("published"), since("confirmed"), one["failed_attempts"] / seconds] };
  });
}

/** @param {number} value */
function seconds(value) {
  return value === 0 ? "0" : duration(value);
}

/** @param {number} value */
function rate(value) {
  return value === 0 || value >= 10 ? number(Math.round(value)) : String(Number(value.toPrecision(2)));
}
