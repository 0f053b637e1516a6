// @ts-check
/** One run of an agent: its events in order, and what became of each. */
import { el, setText } from "../shared/dom.js";
import { counted } from "../shared/format.js";
import { userLink } from "./cells.js";
import { eventTable } from "./event_table.js";
import { viewHeading } from "./view.js";

const PAGE_EVENTS = 200;

export class RunView {
  missing = "There is no such run.";
  #pages = 1;

  /** @param {string} run @param {string} user @param {import("./service.js").Service} service */
  constructor(run, user, service) {
    this.run = run;
    this.user = user;
    this.service = service;
    this.counts = el("p", { class: "muted", role: "status" });
    const events = el("section", { id: "run-events", class: "card" });
    this.more = el("button", { class: "button small", type: "button", hidden: true, onclick: () => void this.#longer() }, "Show more");
    this.nodes = [
      viewHeading(el("span", {}, "Run ", el("bdi", { class: "mono" }, run))),
      el("p", {}, "of ", userLink(user)),
      this.counts,
      events,
    ];
    this.events = eventTable(events, { title: "Events in order", empty: "No event of this run is kept.", level: "h3", runs: false });
    events.append(el("div", { class: "pager" }, this.more));
  }

  async refresh() {
    /** @type {any[]} */
    let events = [];
    let whole = false;
    for (let page = 0; page < this.#pages && !whole; page += 1) {
      const after = events.at(-1)?.seq ?? 0;
      const answer = await this.service.get("/v1/runs", { user: this.user, run: this.run, after, limit: PAGE_EVENTS });
      events = [...events, ...answer.events];
      whole = answer.events.length < PAGE_EVENTS;
    }
    const by = new Map();
    for (const { outcome } of events) by.set(outcome ?? "open", (by.get(outcome ?? "open") ?? 0) + 1);
    setText(this.counts, `${counted(events.length, "event")}${whole ? "" : " so far"}: ${[...by].map(([name, count]) => `${count} ${name}`).join(", ") || "none"}.`);
    this.events.show(events);
    this.more.toggleAttribute("hidden", whole);
  }

  async #longer() {
    this.#pages += 1;
    await this.refresh().catch(() => undefined); // the next turn says what is wrong
  }
}
