// @ts-check
/**
 * @typedef {import("./selection.js").Selection} Selection
 * @typedef {(path: string) => Promise<any>} Get
 * @typedef {(name: string) => void} Show
 */
import { ApiError } from "../shared/api.js";
import { el } from "../shared/dom.js";
import { eventsView } from "./events_view.js";
import { timelineView } from "./timeline_view.js";

const LATEST = 100;

/** The event or the user that is looked at; kept up to date until it is settled. */
export class Detail {
  /** @type {Selection} */
  #selection = {};
  #shown = "";
  /** Asking for it again and again would not make it appear. */
  #missing = false;

  /**
   * @param {Element} place
   * @param {{get: Get, showEvent: Show, showUser: Show}} how
   */
  constructor(place, how) {
    this.place = place;
    this.how = how;
  }

  /** @param {Selection} selection */
  async show(selection) {
    this.#selection = selection;
    this.#shown = "";
    this.#missing = false;
    // When the service is away, the next refresh shows it.
    await this.refresh().catch(() => undefined);
    if (Object.keys(selection).length > 0) this.place.scrollIntoView({ block: "nearest" });
  }

  /** Show what has changed since. */
  async refresh() {
    if (this.#missing) return;
    const selection = this.#selection;
    const [answer, view] = await this.#look(selection);
    const text = JSON.stringify(answer, (_, part) => (typeof part === "bigint" ? String(part) : part));
    // Somebody may be reading or copying: what is the same stays.
    if (selection !== this.#selection || text === this.#shown) return;
    this.#shown = text;
    this.place.replaceChildren(...view());
  }

  /** @param {Selection} selection @returns {Promise<[unknown, () => Node[]]>} */
  async #look({ event, user }) {
    try {
      if (event !== undefined) return await this.#event(event);
      if (user !== undefined) return await this.#user(user);
      return ["nothing", hint];
    } catch (error) {
      if (!(error instanceof ApiError) || error.status === 0) throw error;
      this.#missing = true;
      return [error.message, () => [el("p", { class: "muted", role: "alert" }, sentence(error))]];
    }
  }

  /** @param {string} id @returns {Promise<[unknown, () => Node[]]>} */
  async #event(id) {
    const answer = await this.how.get(`/v1/events/${encodeURIComponent(id)}`);
    return [answer, () => answer.timelines.map((/** @type {any} */ one) => timelineView(one, this.how))];
  }

  /** @param {string} user @returns {Promise<[unknown, () => Node[]]>} */
  async #user(user) {
    const path = `/v1/users/${encodeURIComponent(user)}/events`;
    const { head } = await this.how.get(`${path}?limit=0`);
    const answer = await this.how.get(`${path}?after=${Math.max(0, head - LATEST)}&limit=${LATEST}`);
    return [answer, () => eventsView(user, answer, this.how)];
  }
}

function hint() {
  return [
    el("h2", {}, "Details"),
    el("p", { class: "muted" }, "Choose a user to see the latest events, or an event to see what became of it."),
  ];
}

/** @param {ApiError} error */
function sentence(error) {
  return error.status === 404 ? "There is no such event." : error.message;
}
