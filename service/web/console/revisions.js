// @ts-check
import { el } from "../shared/dom.js";
import { counted, moment, number } from "../shared/format.js";
import { mono } from "./cells.js";
import { drain } from "./control.js";
import { href } from "./route.js";
import { Table } from "./table.js";

/**
 * @typedef {{revision: string, nodes: number, sessions: number, draining: number | null}} Revision
 *   `draining`: until when, seconds since 1970
 */

/** Which revisions serve, how many clients each has, and which are drained. */
export class RevisionTable {
  /** @param {Element} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    /** @type {Table<Revision>} */
    this.table = new Table(place, {
      title: "Revisions",
      empty: "No node has been seen lately.",
      key: (row) => row.revision,
      columns: [
        { title: "Revision", of: (row) => mono(row.revision) },
        { title: "Nodes", number: true, of: (row) => number(row.nodes) },
        { title: "Sessions", number: true, of: sessions },
        { title: "State", of: state },
        { title: "Actions", hidden: true, kind: "actions", of: (row) => this.#button(row) },
      ],
    });
    this.said = el("div", { class: "said", role: "status" });
    place.append(this.said);
    this.service = service;
    /** @type {Revision[]} */
    this.rows = [];
  }

  /** @param {any} status */
  show({ nodes, drains, sessions_by_revision: live }) {
    const names = new Set([...nodes.map((/** @type {any} */ node) => node.revision), ...Object.keys(live)]);
    this.rows = [...names].sort().map((revision) => ({
      revision,
      nodes: nodes.filter((/** @type {any} */ node) => node.revision === revision).length,
      sessions: live[revision] ?? 0,
      draining: until(revision, drains),
    }));
    this.table.show(this.rows);
  }

  /** @param {Revision} row */
  #button({ revision }) {
    const act = () => void drain(this.service, this.said, revision, () => this.rows);
    return el("button", { class: "button small", type: "button", onclick: act, "aria-label": `Drain revision ${revision}` }, "Drain…");
  }
}

/** @param {Revision} row */
function sessions({ revision, sessions: count }) {
  return el("a", { class: "link", href: href({ view: "connections", revision }), "aria-label": `${counted(count, "session")} of ${revision}` }, number(count));
}

/** @param {Revision} row */
function state({ draining }) {
  const text = draining === null ? "serving" : `draining until ${moment(draining)}`;
  return el("span", { class: "outcome", "data-outcome": draining === null ? "confirmed" : "open" }, text);
}

/** @param {string} revision @param {{revision: string, until: number}[]} drains */
function until(revision, drains) {
  const mine = drains.filter((one) => one.revision === revision).map((one) => one.until);
  return mine.length === 0 ? null : Math.max(...mine);
}
