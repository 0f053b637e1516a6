// @ts-check
/** One event: its timeline, and what can be done about it when it is dead. */
import { el } from "../shared/dom.js";
import { closeLetters } from "./closing.js";
import { timelineView } from "./timeline_view.js";
import { viewHeading } from "./view.js";

export class EventView {
  missing = "There is no such event.";
  #shown = "";

  /** @param {string} id @param {string | undefined} user @param {import("./service.js").Service} service */
  constructor(id, user, service) {
    this.id = id;
    this.user = user;
    this.service = service;
    this.timelines = el("div", { class: "timelines" });
    this.said = el("div", { class: "said" });
    this.heading = viewHeading(el("span", {}, "Event ", el("bdi", { class: "mono" }, id)));
    this.nodes = [this.heading, this.said, this.timelines];
  }

  async refresh() {
    const answer = await this.service.get(`/v1/events/${encodeURIComponent(this.id)}`, { user: this.user });
    const text = JSON.stringify(answer, (_, part) => (typeof part === "bigint" ? String(part) : part));
    // Somebody may be reading or copying: what is the same stays.
    if (text === this.#shown) return;
    this.#shown = text;
    const focused = this.timelines.contains(document.activeElement);
    this.timelines.replaceChildren(...answer.timelines.map((/** @type {any} */ one) => this.#article(one)));
    if (focused) this.heading.focus();
  }

  /** @param {any} timeline */
  #article(timeline) {
    const article = timelineView(timeline);
    if (timeline.state === "dead") article.querySelector(".timeline-head")?.append(this.#actions(timeline.event));
    return article;
  }

  /** @param {any} event */
  #actions({ event_id: id, user_id: user }) {
    const act = async (/** @type {import("./closing.js").Way} */ way) => {
      if (await closeLetters(this.service, this.said, way, { names: [{ event_id: id, user }] })) await this.refresh().catch(() => undefined);
    };
    return el(
      "div",
      { class: "actions" },
      el("button", { class: "button primary", type: "button", onclick: () => void act("redrive") }, "Redrive…"),
      el("button", { class: "button", type: "button", onclick: () => void act("discard") }, "Discard…"),
    );
  }
}
