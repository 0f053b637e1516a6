// @ts-check
/**
 * Showing any JSON value as text. Whoever published it may be hostile: nothing here
 * makes markup, direction is isolated, and what is long opens on demand.
 */
import { el } from "./dom.js";
import { number } from "./format.js";

const LONG_CHARACTERS = 1_200;
const LINE_CHARACTERS = 64;
const FEW_FIELDS = 16;
const DEEP = 2;

/**
 * The value of a field, if `data` is an object that has it.
 * @param {unknown} data @param {string} name
 * @returns {unknown}
 */
export function field(data, name) {
  if (!isObject(data) || !Object.hasOwn(data, name)) return undefined;
  return data[name];
}

/**
 * A field as words: text as it is, anything else as JSON, "" when it is missing.
 * @param {unknown} data @param {string} name
 */
export function textField(data, name) {
  const value = field(data, name);
  if (value === undefined || value === null) return "";
  return typeof value === "string" ? value : json(value);
}

/**
 * A field that is a finite number.
 * @param {unknown} data @param {string} name
 */
export function numberField(data, name) {
  const value = field(data, name);
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/**
 * Show a value: fields as a list, text as text, what is nested deeper as JSON.
 * @param {unknown} value
 * @returns {HTMLElement}
 */
export function valueView(value, depth = 0) {
  if (typeof value === "string") return textView(value);
  if (isObject(value) && depth < DEEP && isList(value)) return fieldsView(value, depth);
  if (typeof value === "object" && value !== null) return textView(laidOut(value), "value-json");
  return /** @type {HTMLElement} */ (el("span", { class: "value-scalar" }, json(value)));
}

/**
 * Show text as it was written, its beginning first when it is long.
 * @param {string} text @param {string} [kind] a class
 * @returns {HTMLElement}
 */
export function textView(text, kind = "value-text") {
  const place = el("div", { class: kind, dir: "auto" });
  if (text.length <= LONG_CHARACTERS) {
    place.append(text);
    return /** @type {HTMLElement} */ (place);
  }
  const more = el(
    "button",
    {
      class: "link more",
      type: "button",
      onclick: () => {
        place.replaceChildren(text);
        more.remove();
      },
    },
    `Show all ${number(text.length)} characters`,
  );
  place.append(`${whole(text, LONG_CHARACTERS)}…`);
  return /** @type {HTMLElement} */ (el("div", { class: "value-long" }, place, more));
}

/**
 * A value in one line, cut where it gets long.
 * @param {unknown} value @param {number} characters at most
 */
export function brief(value, characters = 120) {
  const parts = isObject(value)
    ? Object.entries(value).map(([name, part]) => `${name}: ${json(part)}`)
    : [typeof value === "string" ? value : json(value)];
  const line = parts.join(", ").slice(0, 4 * characters).replace(/\s+/g, " ").trim();
  return line.length > characters ? `${whole(line, characters)}…` : line;
}

/**
 * JSON text; numbers that JSON cannot hold are named instead of lost.
 * @param {unknown} value @param {number} [indent]
 * @returns {string}
 */
export function json(value, indent) {
  if (typeof value === "bigint") return String(value);
  if (typeof value === "number" && !Number.isFinite(value)) return String(value);
  const text = JSON.stringify(value, (_, part) => (typeof part === "bigint" ? String(part) : part), indent);
  return text ?? "";
}

/** JSON in one line where it fits. @param {object} value */
function laidOut(value) {
  const line = json(value);
  return line.length <= LINE_CHARACTERS ? line : json(value, 2);
}

/** @param {Record<string, unknown>} value @param {number} depth */
function fieldsView(value, depth) {
  const rows = Object.entries(value).flatMap(([name, part]) => [
    el("dt", { dir: "auto" }, name),
    el("dd", {}, valueView(part, depth + 1)),
  ]);
  return /** @type {HTMLElement} */ (el("dl", { class: "value-fields" }, ...rows));
}

/** Whether there are few enough fields for a list. @param {object} value */
function isList(value) {
  const count = Object.keys(value).length;
  return count > 0 && count <= FEW_FIELDS;
}

/** @param {unknown} value @returns {value is Record<string, unknown>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The first characters, without half of one at the end. @param {string} text @param {number} count */
function whole(text, count) {
  const cut = text.slice(0, count);
  return /[\uD800-\uDBFF]$/.test(cut) ? cut.slice(0, -1) : cut;
}
