// @ts-check
/** What stands in the cells of tables: links, outcomes, times; all of it text. */
import { el } from "../shared/dom.js";
import { duration, exactMoment, moment, words } from "../shared/format.js";
import { href } from "./route.js";

/** @param {string} user */
export function userLink(user) {
  return opener(user, { user });
}

/** @param {string} id @param {string} user whose it is */
export function eventLink(id, user) {
  return opener(id, { event: id, user }, "mono");
}

/** @param {string} run @param {string} user whose it is */
export function runLink(run, user) {
  return opener(run, { run, user }, "mono");
}

/** @param {string} text @param {Record<string, string>} fields */
function opener(text, fields, kind = "") {
  return el("a", { class: `link opener ${kind}`.trim(), dir: "auto", href: href(fields), title: text }, text);
}

/** @param {string} text */
export function mono(text) {
  return el("span", { class: "mono name", dir: "auto", title: text }, text);
}

/** @param {string} text */
export function plain(text) {
  return el("span", { class: "name", dir: "auto", title: text }, text);
}

/** @param {string} type */
export function typeName(type) {
  return plain(words(type));
}

/** @param {number} at seconds since 1970 */
export function time(at) {
  return el("time", { datetime: exactMoment(at), title: exactMoment(at) }, moment(at));
}

/**
 * What became of an event, and after how long.
 * @param {{outcome: string | null, settled_at?: number | null, accepted_at: number}} event
 */
export function outcome({ outcome: found, settled_at: settled, accepted_at: accepted }) {
  const name = found ?? "open";
  const took = typeof settled === "number" ? ` in ${duration(settled - accepted)}` : "";
  return el("span", { class: "outcome", "data-outcome": name }, `${name}${took}`);
}
