// @ts-check
import { el, svg } from "../shared/dom.js";

/**
 * How far an event is: shown, handled, or settled by the service.
 * @typedef {"received" | "handled" | "confirmed" | "dead" | "expired" | "discarded" | "redriven"} Delivery
 */

/** @type {Delivery[]} of several events, a tick shows the one that comes first here */
const ORDER = ["dead", "expired", "discarded", "received", "handled", "redriven", "confirmed"];
const SETTLED = new Set(["dead", "expired", "discarded", "redriven", "confirmed"]);
const FEW = 4;
const MEANING = Object.freeze({
  received: "received",
  handled: "handled here, not confirmed yet",
  confirmed: "confirmed",
  dead: "given up by the service before this page confirmed it",
  expired: "expired before this page confirmed it",
  discarded: "discarded by an operator",
  redriven: "sent again under a later number",
});

/** The mark beside what is shown: how far the delivery of its events is. */
export class Tick {
  /** @type {Map<number, Delivery>} */
  #events = new Map();

  constructor() {
    this.element = el(
      "span",
      { class: "tick", role: "img" },
      svg(
        "svg",
        { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true" },
        svg("circle", { class: "tick-dot", cx: 12, cy: 12, r: 2.5 }),
        svg("path", { class: "tick-one", d: "M2.5 12.5L7 17l8.5-9.5" }),
        svg("path", { class: "tick-two", d: "M12 16l1 1 8.5-9.5" }),
      ),
    );
  }

  /**
   * Note how far an event is. What is settled stays so.
   * @param {number} seq @param {Delivery} delivery
   */
  mark(seq, delivery) {
    const before = this.#events.get(seq);
    if (before === delivery || (before !== undefined && SETTLED.has(before))) return;
    if (before === "handled" && delivery === "received") return;
    this.#events.set(seq, delivery);
    this.#show();
  }

  #show() {
    const all = [...this.#events];
    const [, least] = all.reduce((a, b) => (ORDER.indexOf(b[1]) < ORDER.indexOf(a[1]) ? b : a));
    const each = all.map(([seq, delivery]) => `event ${seq}: ${MEANING[delivery]}`);
    const said = each.length > FEW ? `${each.length} events: ${MEANING[least]}` : each.join("\n");
    this.element.setAttribute("data-delivery", least);
    this.element.setAttribute("aria-label", MEANING[least]);
    this.element.setAttribute("title", said);
  }
}
