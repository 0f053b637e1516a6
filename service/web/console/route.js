// @ts-check
/**
 * What is looked at, kept in the URL's fragment: it survives a reload, the Back button
 * knows it, and it can be sent to a colleague.
 *
 * @typedef {Readonly<Record<string, string>>} Route names and values of the fragment
 */

/** @returns {Route} */
export function currentRoute() {
  return Object.fromEntries(new URLSearchParams(location.hash.slice(1)));
}

/**
 * The address of something; empty values are left out.
 * @param {Record<string, string | number | null | undefined>} fields
 */
export function href(fields) {
  const given = Object.entries(fields).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
}

/** @param {Record<string, string | number | null | undefined>} fields */
export function go(fields) {
  location.hash = href(fields);
}

/**
 * The view that shows a route.
 * @param {Route} route
 */
export function viewOf(route) {
  if (route["q"] !== undefined) return "search";
  if (route["event"] !== undefined || route["run"] !== undefined && route["view"] === undefined) return "detail";
  if (route["user"] !== undefined && route["view"] === undefined) return "detail";
  const view = route["view"] ?? "overview";
  return ["connections", "dead-letters"].includes(view) ? view : "overview";
}
