// @ts-check
/**
 * What an event looks like in its run. An entry shows one event, or the two of a tool
 * call; it says which events those are and where it belongs.
 *
 * @typedef {import("../client/frames.js").EventFrame} EventFrame
 * @typedef {{seq: number, element: Element, tick: Tick}} Entry
 */
import { el } from "../shared/dom.js";
import { counted, duration, moment, exactMoment, words } from "../shared/format.js";
import { icon } from "../shared/icons.js";
import { field, numberField, textField, textView, valueView } from "../shared/values.js";
import { Tick } from "./tick.js";

/** @type {Readonly<Record<string, (event: EventFrame, tick: Tick) => Element>>} */
const VIEWS = Object.freeze({
  agent_started: requestView,
  agent_thinking: thoughtView,
  agent_completed: resultView,
  agent_error: errorView,
  events_dropped: droppedView,
});

/**
 * @param {EventFrame} event
 * @returns {Entry}
 */
export function newEntry(event) {
  const tick = new Tick();
  const known = Object.hasOwn(VIEWS, event.type);
  const element = (known ? VIEWS[event.type] : unknownView)(event, tick);
  return { seq: event.seq, element, tick };
}

/** When something happened, and how far its delivery is. @param {EventFrame} event @param {Tick} tick */
export function marks(event, tick) {
  const time = el("time", { datetime: exactMoment(event.at), title: exactMoment(event.at) }, moment(event.at));
  return el("span", { class: "marks" }, time, tick.element);
}

/** @param {EventFrame} event @param {Tick} tick */
function requestView(event, tick) {
  const request = field(event.data, "request");
  const body = request === undefined || request === null ? el("span", { class: "muted" }, "started") : valueView(request);
  return el("div", { class: "entry request" }, el("div", { class: "bubble" }, body), marks(event, tick));
}

/** @param {EventFrame} event @param {Tick} tick */
function thoughtView(event, tick) {
  const step = numberField(event.data, "step");
  const label = el("span", { class: "sr-only" }, step === null ? "Thinking: " : `Thinking, step ${step}: `);
  return el(
    "div",
    { class: "entry thought" },
    icon("thought"),
    el("div", { class: "entry-body" }, label, textView(textField(event.data, "text"))),
    marks(event, tick),
  );
}

/** @param {EventFrame} event @param {Tick} tick */
function resultView(event, tick) {
  const result = field(event.data, "result");
  const said = field(result, "text");
  const took = numberField(event.data, "duration_seconds");
  const head = el(
    "div",
    { class: "entry-head" },
    icon("flag"),
    el("strong", {}, "Result"),
    took !== null && el("span", { class: "muted" }, `after ${duration(took)}`),
    marks(event, tick),
  );
  const body = typeof said === "string" ? [textView(said), detailsView(result)] : [resultBody(result)];
  return el("div", { class: "entry result" }, head, ...body);
}

/** @param {unknown} result */
function resultBody(result) {
  if (result !== undefined && result !== null) return valueView(result);
  return el("p", { class: "muted" }, "Finished without a result to show.");
}

/** Everything else that came with the words. @param {unknown} result */
function detailsView(result) {
  const { text: _, ...rest } = /** @type {Record<string, unknown>} */ (result);
  if (Object.keys(rest).length === 0) return null;
  return onDemand("Details", () => valueView(rest));
}

/** @param {EventFrame} event @param {Tick} tick */
function errorView(event, tick) {
  const kind = textField(event.data, "kind");
  const cancelled = kind === "cancelled";
  const head = el(
    "div",
    { class: "entry-head" },
    icon(cancelled ? "stop" : "warning"),
    el("strong", { dir: "auto" }, cancelled ? "Stopped" : kind || "Failed"),
    marks(event, tick),
  );
  const body = textView(textField(event.data, "message"));
  return el("div", { class: `entry failure${cancelled ? " cancelled" : ""}` }, head, body);
}

/** @param {EventFrame} event @param {Tick} tick */
function droppedView(event, tick) {
  const count = counted(numberField(event.data, "count") ?? 0, "event");
  const said = `The agent lost ${count} of lesser importance: it could not reach the service.`;
  return el("div", { class: "entry remark" }, icon("info"), el("span", { class: "entry-body" }, said), marks(event, tick));
}

/** @param {EventFrame} event @param {Tick} tick */
function unknownView(event, tick) {
  const head = el(
    "div",
    { class: "entry-head" },
    icon("dot"),
    el("strong", { dir: "auto", class: "name" }, words(event.type)),
    marks(event, tick),
  );
  const empty = event.data === null || event.data === undefined;
  return el("div", { class: "entry other" }, head, !empty && valueView(event.data));
}

/**
 * Something that is made when it is opened.
 * @param {string} title @param {() => Node} body
 */
export function onDemand(title, body) {
  const open = () => {
    if (details.childElementCount === 1) details.append(body());
  };
  const details = el("details", { ontoggle: open }, el("summary", {}, title));
  return details;
}
