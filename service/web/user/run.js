// @ts-check
/**
 * @typedef {import("../client/frames.js").EventFrame} EventFrame
 * @typedef {import("../client/frames.js").EphemeralFrame} EphemeralFrame
 * @typedef {import("./entries.js").Entry} Entry
 */
import { el, nextFrame, setText } from "../shared/dom.js";
import { counted, duration, exactMoment, moment } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { field, numberField, textField } from "../shared/values.js";
import { Draft } from "./draft.js";
import { newEntry } from "./entries.js";
import { Progress } from "./progress.js";
import { Tick } from "./tick.js";
import { ToolCall } from "./tool_call.js";

const CALLS = new Set(["tool_executing", "tool_completed"]);
const ENDS = new Set(["agent_completed", "agent_error"]);

/** One run of an agent, as its user sees it. Events may come in any order. */
export class Run {
  /** Of its first event: where the run belongs on the page. */
  seq = Infinity;
  /** Of its last event. */
  lastSeq = 0;
  /** @type {EventFrame | null} */
  ended = null;
  /** @type {Entry[]} in the order of the page */
  #entries = [];
  /** @type {Map<string, ToolCall[]>} */
  #calls = new Map();
  #events = 0;
  #draft = new Draft();
  #progress = new Progress();
  /** @type {boolean | null} what the user wants, whatever the page would do */
  #wanted = null;
  #began = 0;
  #title = "";

  /** @param {string | null} id @param {(id: string) => boolean} cancel asks to stop the run */
  constructor(id, cancel) {
    this.id = id;
    this.#title = id === null ? "Other events" : "Run";
    this.name = el("span", { class: "run-name", dir: "auto" });
    this.state = el("span", { class: "pill" });
    this.facts = el("span", { class: "run-facts muted" });
    this.toggle = el(
      "button",
      { class: "run-toggle", type: "button", "aria-expanded": "true", onclick: () => this.#toggled() },
      icon("chevron"),
      this.name,
    );
    this.stop = el("button", { class: "button small stop", type: "button", hidden: true }, icon("stop"), "Stop");
    this.stop.addEventListener("click", () => id !== null && this.#stopping(cancel(id)));
    this.body = el("div", { class: "run-body" });
    this.element = el(
      "section",
      { class: "run" },
      el("header", { class: "run-head" }, el("h2", {}, this.toggle), this.facts, this.stop, this.state),
      this.#progress.element,
      this.body,
      this.#draft.element,
    );
    this.showHead = nextFrame(() => this.#showHead());
    this.showHead();
  }

  /**
   * Show an event; return the tick that says how far its delivery is.
   * @param {EventFrame} event
   * @returns {Tick}
   */
  add(event) {
    this.seq = Math.min(this.seq, event.seq);
    this.lastSeq = Math.max(this.lastSeq, event.seq);
    this.#events += 1;
    this.#draft.supersede(event);
    this.showHead();
    if (event.type === "progress") return this.#progress.add(event);
    if (CALLS.has(event.type)) return this.#addCall(event);
    if (event.type === "agent_started") this.#start(event);
    if (ENDS.has(event.type)) this.#end(event);
    return this.#insert(newEntry(event)).tick;
  }

  /** @param {EphemeralFrame} piece */
  addPiece(piece) {
    if (this.ended === null) this.#draft.add(piece);
  }

  /** Say how long what runs has been running. @param {number} now seconds since 1970 */
  showTime(now) {
    if (this.ended !== null) return;
    for (const calls of this.#calls.values()) for (const call of calls) call.showTime(now);
  }

  /** Open or fold the run, unless the user has decided. @param {boolean} open */
  setOpen(open) {
    this.#setOpen(this.#wanted ?? open);
  }

  get isOver() {
    return this.ended !== null || this.id === null;
  }

  #toggled() {
    this.#wanted = this.toggle.getAttribute("aria-expanded") !== "true";
    this.#setOpen(this.#wanted);
  }

  /** @param {boolean} open */
  #setOpen(open) {
    this.toggle.setAttribute("aria-expanded", String(open));
    this.element.toggleAttribute("data-folded", !open);
  }

  /** @param {EventFrame} event */
  #start(event) {
    this.#began = event.at;
    this.#title = textField(event.data, "agent") || this.#title;
  }

  /** @param {EventFrame} event */
  #end(event) {
    this.ended = event;
    for (const calls of this.#calls.values()) for (const call of calls) call.close();
  }

  /** @param {EventFrame} event */
  #addCall(event) {
    const key = textField(event.data, "call_id") || event.id;
    const known = this.#calls.get(key) ?? [];
    const began = event.type === "tool_executing";
    // An agent may use a call's id again: the first call that lacks this half has it.
    const half = known.find((call) => (began ? call.began : call.ended) === null);
    if (half !== undefined) return this.#complete(half, event);
    const call = new ToolCall(event);
    this.#calls.set(key, [...known, call]);
    if (this.ended !== null) call.close();
    return this.#insert(call).tick;
  }

  /** @param {ToolCall} call @param {EventFrame} event */
  #complete(call, event) {
    const before = call.seq;
    call.add(event);
    if (call.seq < before) {
      this.#entries.splice(this.#entries.indexOf(call), 1);
      this.#insert(call);
    }
    return call.tick;
  }

  /** Put an entry where its seq belongs; nearly always at the end. @param {Entry} entry */
  #insert(entry) {
    let place = this.#entries.length;
    while (place > 0 && this.#entries[place - 1].seq > entry.seq) place -= 1;
    const next = this.#entries[place]?.element ?? null;
    this.#entries.splice(place, 0, entry);
    this.body.insertBefore(entry.element, next);
    return entry;
  }

  /** @param {boolean} asked */
  #stopping(asked) {
    if (!asked) return;
    this.stop.setAttribute("disabled", "");
    setText(this.stop, "Asked to stop");
  }

  #showHead() {
    setText(this.name, this.#title);
    const [tone, word] = this.#word();
    this.state.setAttribute("data-tone", tone);
    setText(this.state, word);
    this.state.toggleAttribute("hidden", this.id === null);
    this.stop.toggleAttribute("hidden", this.isOver);
    const began = this.#began ? `${moment(this.#began)} · ` : "";
    setText(this.facts, `${began}${counted(this.#events, "event")}`);
    if (this.#began) this.facts.setAttribute("title", exactMoment(this.#began));
  }

  /** @returns {[string, string]} */
  #word() {
    if (this.ended === null) return ["busy", "Running"];
    const took = numberField(this.ended.data, "duration_seconds");
    const after = took === null ? "" : ` ${duration(took)}`;
    if (this.ended.type === "agent_completed") return ["good", `Done${after && ` in${after}`}`];
    const cancelled = field(this.ended.data, "kind") === "cancelled";
    return cancelled ? ["warn", "Stopped"] : ["bad", `Failed${after && ` after${after}`}`];
  }
}
