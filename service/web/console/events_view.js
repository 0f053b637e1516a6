// @ts-check
import { el } from "../shared/dom.js";
import { counted, duration, exactMoment, moment, number, words } from "../shared/format.js";
import { opener } from "./lists.js";

/**
 * A user's latest events, newest first.
 * @param {string} user @param {any} answer @param {{showEvent: (id: string) => void}} how
 */
export function eventsView(user, { head, settled, epoch, events }, { showEvent }) {
  const titles = ["Seq", "Event", "Accepted", "Outcome"];
  const rows = events.toReversed().map((/** @type {any} */ event) => row(event, showEvent));
  const heading = el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)));
  return [
    el("h2", {}, "Latest events of ", el("bdi", {}, user)),
    el("p", { class: "muted", title: `epoch ${epoch}` }, `${counted(events.length, "event")} of ${number(head)}; settled up to ${number(settled)}.`),
    el("div", { class: "scroll" }, el("table", { class: "events" }, el("thead", {}, heading), el("tbody", {}, ...rows))),
  ];
}

/** @param {any} event @param {(id: string) => void} showEvent */
function row(event, showEvent) {
  const { seq, type, event_id: id, accepted_at: accepted, outcome, settled_at: settled } = event;
  const took = outcome === null ? "" : `, ${duration(settled - accepted)}`;
  return el(
    "tr",
    {},
    el("td", { class: "number" }, number(seq)),
    el("td", {}, el("span", { class: "name", dir: "auto" }, words(type)), opener(id, showEvent, "mono")),
    el("td", {}, el("time", { datetime: exactMoment(accepted), title: exactMoment(accepted) }, moment(accepted))),
    el("td", {}, el("span", { class: "outcome", "data-outcome": outcome ?? "open" }, `${outcome ?? "open"}${took}`)),
  );
}
