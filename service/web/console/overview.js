// @ts-check
import { el } from "../shared/dom.js";
import { duration, number } from "../shared/format.js";
import { userLink } from "./cells.js";
import { Charts } from "./charts.js";
import { Counts } from "./counts.js";
import { RevisionTable } from "./revisions.js";
import { Table } from "./table.js";
import { viewHeading } from "./view.js";

/**
 * How the whole service does: numbers, charts, who serves, who is behind.
 * @implements {View}
 * @typedef {import("./view.js").View} View
 */
export class Overview {
  /** @param {HTMLElement} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.place = place;
    const heading = viewHeading("Overview");
    heading.classList.add("sr-only");
    const numbers = el("section", { "aria-label": "Events by outcome" });
    const charts = el("section", { class: "charts", "aria-label": "Charts" });
    const serving = el("section", { class: "card" });
    const behind = el("section", { id: "streams", class: "card" });
    place.append(heading, numbers, charts, el("div", { class: "columns" }, behind, serving));
    this.counts = new Counts(numbers);
    this.charts = new Charts(charts, service);
    this.streams = streamTable(behind);
    this.revisions = new RevisionTable(serving, service);
  }

  async show() {
    await this.charts.refresh();
  }

  /** @param {any} status */
  async refresh(status) {
    this.counts.show(status, this.charts.newest);
    this.streams.show(status.streams);
    this.revisions.show(status);
    await this.charts.refresh();
  }
}

/**
 * @typedef {{user_id: string, head_seq: number, settled_seq: number, open: number,
 *   oldest_open_seconds: number | null}} Stream
 * @param {Element} place
 * @returns {Table<Stream>}
 */
function streamTable(place) {
  return new Table(place, {
    title: "Streams, most open events first",
    empty: "Nothing was published yet.",
    key: (row) => row.user_id,
    columns: [
      { title: "User", of: (row) => userLink(row.user_id) },
      { title: "Open", number: true, of: (row) => number(row.open) },
      { title: "Oldest open", number: true, of: (row) => duration(row.oldest_open_seconds) },
      { title: "Settled up to", number: true, of: (row) => number(row.settled_seq) },
      { title: "Head", number: true, of: (row) => number(row.head_seq) },
    ],
  });
}
