// @ts-check
/**
 * Everything that is known of one event of one user, in the order of time.
 *
 * @typedef {{at: number, title: string, text: string, tone: string, by?: string}} Moment
 */
import { el } from "../shared/dom.js";
import { counted, duration, exactMoment, moment, number, words } from "../shared/format.js";
import { valueView } from "../shared/values.js";
import { runLink, userLink } from "./cells.js";

/** @param {any} timeline */
export function timelineView(timeline) {
  const { event, state, label } = timeline;
  const said = label === null ? words(state) : `${words(state)}, ${words(label)}`;
  return el(
    "article",
    { class: "timeline" },
    el(
      "header",
      { class: "timeline-head" },
      el("h3", { dir: "auto" }, words(event.type)),
      el("span", { class: "outcome", "data-outcome": state }, said),
    ),
    el("ol", { class: "moments" }, ...moments(timeline).map((one) => momentView(one, firstAccepted(timeline)))),
    el("div", { class: "about" }, facts(event), el("h4", {}, "Data"), el("div", { class: "data" }, valueView(event.data))),
  );
}

/** @param {any} timeline @returns {Moment[]} */
function moments({ event, failures, settlement, held_by: holders, label, earlier }) {
  const before = earlier.flatMap((/** @type {any} */ row) => [...attempts(row, row.failures), ...given(row)]);
  const past = [...before, ...attempts(event, failures)].sort((a, b) => a.at - b.at);
  return [...past, settlement === null ? open(holders, label) : settled(settlement)];
}

/**
 * What happened to an event under one seq, up to its outcome.
 * @param {any} row @param {any[]} failures @returns {Moment[]}
 */
function attempts({ seq, redrive, accepted_at: at }, failures) {
  const title = redrive > 0 ? "Redriven" : "Accepted";
  const accepted = { at, title, text: `seq ${number(seq)} of the stream`, tone: "" };
  const failed = failures.map((failure) => ({
    at: failure.at,
    title: `Attempt ${failure.attempt} failed`,
    text: failure.reason,
    by: by(failure.device_id).trim(),
    tone: "bad",
  }));
  return [accepted, ...failed];
}

/** When it was given up, before somebody redrove it. @param {any} row @returns {Moment[]} */
function given({ settled_at: at }) {
  return at === null ? [] : [{ at, title: "Dead", text: "redriven later", tone: "bad" }];
}

/** @param {any} settlement @returns {Moment} */
function settled({ outcome, device_id: device, at }) {
  const tone = outcome === "confirmed" ? "good" : outcome === "dead" ? "bad" : "warn";
  return { at, title: capital(outcome), text: by(device).trim(), tone };
}

/** @param {string[]} holders @param {string | null} label @returns {Moment} */
function open(holders, label) {
  if (holders.length > 0) return waiting("Waiting for its confirmation", `with ${holders.join(", ")}`);
  if (label === "parked") return waiting("Parked", "nobody of this user is connected");
  if (label === "retry_wait") return waiting("Waiting for its next attempt", "");
  return waiting("Waiting to be sent", "");
}

/** @param {string} title @param {string} text @returns {Moment} */
function waiting(title, text) {
  return { at: NaN, title, text, tone: "open" };
}

/** @param {Moment} one @param {number} accepted seconds since 1970 */
function momentView({ at, title, text, tone, by: device = "" }, accepted) {
  const after = at > accepted ? `after ${duration(at - accepted)}` : "";
  const time = Number.isNaN(at)
    ? null
    : el("time", { datetime: exactMoment(at), title: exactMoment(at) }, `${moment(at)} ${after}`.trim());
  return el(
    "li",
    { class: "moment", "data-tone": tone },
    el("div", { class: "moment-head" }, el("strong", {}, title), time),
    text !== "" && el("div", { class: "muted wrap", dir: "auto" }, text),
    device !== "" && el("div", { class: "muted wrap", dir: "auto" }, device),
  );
}

/** @param {any} timeline */
function firstAccepted({ event, earlier }) {
  return earlier[0]?.accepted_at ?? event.accepted_at;
}

/** @param {any} event */
function facts(event) {
  const rows = [
    ["User", userLink(event.user_id)],
    ["Run", event.run_id === null ? null : runLink(event.run_id, event.user_id)],
    ["Event", event.event_id],
    ["Thread", event.thread_id],
    ["Priority", event.priority],
    ["Redriven", event.redrive > 0 ? counted(event.redrive, "time") : null],
    ["Expires", moment(event.expires_at)],
    ["Trace", event.trace],
  ].filter(([, value]) => value !== null);
  return el(
    "dl",
    { class: "facts" },
    ...rows.flatMap(([name, value]) => [el("dt", {}, name), el("dd", { class: "wrap", dir: "auto" }, value)]),
  );
}

/** @param {string | null} device */
function by(device) {
  return device === null ? "" : ` by device ${device}`;
}

/** @param {string} word */
function capital(word) {
  return `${word.charAt(0).toUpperCase()}${word.slice(1)}`;
}
