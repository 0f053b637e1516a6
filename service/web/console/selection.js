// @ts-check
/**
 * What is looked at, kept in the URL's fragment: it survives a reload and can be sent
 * to a colleague.
 *
 * @typedef {{event?: string, user?: string}} Selection
 */

/** @returns {Selection} */
export function selected() {
  const fields = new URLSearchParams(location.hash.slice(1));
  const event = fields.get("event");
  const user = fields.get("user");
  if (event !== null) return user === null ? { event } : { event, user };
  return user === null ? {} : { user };
}

/** @param {Selection} selection */
export function select(selection) {
  location.hash = String(new URLSearchParams(Object.entries(selection)));
}
