// @ts-check
/** The HTTP API, as the service describes itself. */
import { ask } from "../shared/api.js";
import { byId, el } from "../shared/dom.js";
import { valueView } from "../shared/values.js";

const METHODS = ["get", "post", "put", "patch", "delete"];

try {
  show(await ask("/openapi.json"));
} catch (error) {
  byId("operations").replaceChildren(el("p", { role: "alert" }, `The description cannot be read: ${error}`));
}

/** @param {any} api an OpenAPI document */
function show(api) {
  byId("title").textContent = api.info.title;
  byId("version").textContent = `version ${api.info.version}`;
  for (const [path, item] of Object.entries(api.paths)) {
    for (const method of METHODS.filter((name) => name in item)) {
      byId("operations").append(operationView(api, path, method, item[method]));
    }
  }
}

/** @param {any} api @param {string} path @param {string} method @param {any} operation */
function operationView(api, path, method, operation) {
  return el(
    "section",
    { class: "operation", id: `${method}${path.replaceAll("/", "-")}` },
    el("h2", {}, el("span", { class: `method method-${method}` }, method.toUpperCase()), el("span", { class: "mono" }, path)),
    ...prose(operation.description ?? operation.summary ?? ""),
    parametersView(api, operation.parameters ?? [], operation.security !== undefined),
    bodyView(api, operation.requestBody),
    answersView(operation.responses ?? {}),
  );
}

/** Paragraphs, with what is between backquotes as code. @param {string} text */
function prose(text) {
  return text
    .trim()
    .split(/\n\s*\n/)
    .map((paragraph) => {
      const parts = paragraph.split("`").map((part, index) => (index % 2 === 1 ? el("code", {}, part) : part));
      return el("p", { class: "about" }, ...parts);
    });
}

/** @param {any} api @param {any[]} parameters @param {boolean} token */
function parametersView(api, parameters, token) {
  const rows = parameters
    .map(({ name, in: place, required, schema, description }) =>
      row(name, `${place}${required ? ", required" : ""}`, typeOf(api, schema), description));
  if (token) rows.push(row("Authorization", "header", "Bearer <token>", ""));
  return rows.length > 0 && section("Parameters", table(["Name", "Where", "Type", ""], rows));
}

/** @param {any} api @param {any} body */
function bodyView(api, body) {
  const schema = resolved(api, body?.content?.["application/json"]?.schema);
  if (schema === null) return null;
  const required = new Set(schema.required ?? []);
  const rows = Object.entries(schema.properties ?? {}).map(([name, part]) =>
    row(name, required.has(name) ? "required" : "", typeOf(api, part), resolved(api, part)?.description));
  return section("Body", rows.length > 0 ? table(["Field", "", "Type", ""], rows) : valueView(schema));
}

/** @param {Record<string, any>} responses */
function answersView(responses) {
  // FastAPI adds 422 by itself; this service answers 400 with problem details instead.
  const rows = Object.entries(responses)
    .filter(([status]) => status !== "422")
    .map(([status, answer]) => row(status, answer.description, Object.keys(answer.content ?? {}).join(", "), ""));
  return section("Answers", table(["Status", "Meaning", "Type", ""], rows));
}

/** @param {string} title @param {Node} body */
function section(title, body) {
  return el("div", { class: "part" }, el("h3", {}, title), body);
}

/** @param {string[]} titles @param {Element[]} rows */
function table(titles, rows) {
  const head = el("tr", {}, ...titles.map((title) => el("th", { scope: "col" }, title)));
  return el("div", { class: "scroll" }, el("table", {}, el("thead", {}, head), el("tbody", {}, ...rows)));
}

/** @param {(string | undefined)[]} cells */
function row(...cells) {
  return el("tr", {}, ...cells.map((cell, index) => el("td", index === 0 ? { class: "mono" } : {}, cell ?? "")));
}

/** @param {any} api @param {any} schema @returns {string} */
function typeOf(api, schema) {
  if (schema === undefined || schema === null) return "any JSON";
  if (schema.$ref !== undefined) return typeOf(api, resolved(api, schema));
  const choices = schema.anyOf ?? schema.oneOf;
  if (choices !== undefined) return choices.map((/** @type {any} */ one) => typeOf(api, one)).join(" or ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum !== undefined) return schema.enum.map((/** @type {any} */ one) => JSON.stringify(one)).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(api, schema.items)}`;
  return [schema.type ?? "any JSON", bounds(schema)].filter(Boolean).join(", ");
}

/** @param {any} schema */
function bounds({ minimum, maximum, exclusiveMinimum, default: preset }) {
  return [
    minimum !== undefined && `from ${minimum}`,
    exclusiveMinimum !== undefined && `above ${exclusiveMinimum}`,
    maximum !== undefined && `to ${maximum}`,
    preset !== undefined && preset !== null && `by default ${JSON.stringify(preset)}`,
  ]
    .filter(Boolean)
    .join(", ");
}

/** @param {any} api @param {any} schema */
function resolved(api, schema) {
  if (schema?.$ref === undefined) return schema ?? null;
  const name = schema.$ref.split("/").at(-1);
  return api.components?.schemas?.[name] ?? null;
}
