// @ts-check
/** The user, the run or the event that is looked at. */
import { ApiError } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { EventView } from "./event_view.js";
import { RunView } from "./run_view.js";
import { problem } from "./service.js";
import { UserView } from "./user_view.js";
import { viewHeading } from "./view.js";

/**
 * @implements {View}
 * @typedef {import("./view.js").View} View
 * @typedef {{nodes: Node[], missing: string, refresh: () => Promise<void>}} Part `missing`: what
 *   to say when there is none
 */
export class Detail {
  /** What is looked at; null once asking for it again would not make it appear. @type {Part | null} */
  #part = null;
  #filled = false;

  /** @param {HTMLElement} place @param {import("./service.js").Service} service */
  constructor(place, service) {
    this.place = place;
    this.service = service;
  }

  /** @param {import("./view.js").Route} route */
  async show(route) {
    this.#part = this.#partOf(route);
    this.#filled = false;
    this.place.replaceChildren();
    await this.refresh();
  }

  async refresh() {
    const part = this.#part;
    if (part === null) return;
    try {
      await part.refresh();
    } catch (error) {
      if (!(error instanceof ApiError) || error.temporary || part !== this.#part) throw error;
      this.#part = null;
      const text = error.status === 404 ? part.missing : problem(error);
      this.place.replaceChildren(viewHeading("Not found"), el("p", { class: "problem", role: "alert" }, text));
      return;
    }
    if (part !== this.#part || this.#filled) return;
    this.#filled = true;
    this.place.replaceChildren(...part.nodes);
  }

  /** @param {import("./view.js").Route} route @returns {Part} */
  #partOf({ event, run, user }) {
    if (event !== undefined) return new EventView(event, user, this.service);
    if (run !== undefined) return new RunView(run, user ?? "", this.service);
    return new UserView(user ?? "", this.service);
  }
}
