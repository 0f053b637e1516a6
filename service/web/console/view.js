// @ts-check
/**
 * What a view is. Its place is shown and hidden by the console.
 *
 * @typedef {import("./route.js").Route} Route
 * @typedef {import("./service.js").Service} Service
 * @typedef {object} View
 * @property {HTMLElement} place
 * @property {(route: Route) => Promise<void>} show look at something else
 * @property {(status: any) => Promise<void>} refresh bring it up to date
 */
import { ApiError } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { problem } from "./service.js";

/**
 * The heading of a view; the focus goes there when the view is opened.
 * @param {string | Node} content
 */
export function viewHeading(content) {
  return /** @type {HTMLElement} */ (el("h2", { class: "view-title", tabindex: "-1" }, content));
}

/**
 * Run what a person asked for, and show beside it why it failed.
 * @param {Element} place @param {() => Promise<void>} work
 */
export async function showingProblems(place, work) {
  place.replaceChildren();
  try {
    await work();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    place.replaceChildren(el("p", { class: "problem", role: "alert" }, problem(error)));
  }
}
