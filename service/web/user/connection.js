// @ts-check
/** @typedef {import("../client/client.js").StateChange} StateChange */
import { setText } from "../shared/dom.js";

/** @type {Readonly<Record<StateChange["state"], [string, string]>>} */
const WORDS = Object.freeze({
  connecting: ["busy", "Connecting"],
  replaying: ["busy", "Catching up"],
  live: ["good", "Live"],
  waiting: ["warn", "Reconnecting"],
  stopped: ["bad", "Stopped"],
});

/** The state of the connection, always in view. */
export class Connection {
  /** @type {StateChange} */
  #change = { state: "connecting" };

  /** @param {Element} place */
  constructor(place) {
    this.place = place;
    setInterval(() => this.#show(), 500);
    this.#show();
  }

  /** @param {StateChange} change */
  show(change) {
    this.#change = change;
    this.#show();
  }

  #show() {
    const { state, reason, retryAt } = this.#change;
    const [tone, word] = WORDS[state];
    this.place.setAttribute("data-tone", tone);
    this.place.setAttribute("data-state", state);
    this.place.setAttribute("title", reason ?? "");
    setText(this.place, retryAt === undefined ? word : `${word} ${when(retryAt)}`);
  }
}

/** @param {Date} at */
function when(at) {
  const seconds = Math.ceil((at.getTime() - Date.now()) / 1000);
  return seconds > 0 ? `in ${seconds} s` : "now";
}
