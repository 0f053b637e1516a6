// @ts-check
/** Asking the service over HTTP. */

const PATIENCE_MILLISECONDS = 10_000;

/** An answer that is an error; `status` 0: there was no answer. */
export class ApiError extends Error {
  /** @param {number} status @param {string} message */
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/**
 * Ask and return the JSON answer.
 * @param {string} path
 * @param {{method?: string, token?: string, body?: unknown}} [request]
 * @returns {Promise<any>}
 */
export async function ask(path, { method = "GET", token, body } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await reach(path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(PATIENCE_MILLISECONDS),
  });
  const value = parse(answer.text);
  if (answer.ok) return value;
  throw new ApiError(answer.status, value?.detail ?? `the service answered ${answer.status}`);
}

/** @param {string} path @param {RequestInit} request */
async function reach(path, request) {
  try {
    const response = await fetch(path, request);
    return { ok: response.ok, status: response.status, text: await response.text() };
  } catch {
    throw new ApiError(0, "the service does not answer");
  }
}

/** @param {string} text */
function parse(text) {
  try {
    return JSON.parse(text, exact);
  } catch {
    return null; // somebody in between answered, not the service
  }
}

/**
 * An integer that JavaScript would round stays what it is, where the browser tells.
 * @param {string} _key @param {unknown} value @param {{source?: string}} [context]
 */
function exact(_key, value, context) {
  if (typeof value !== "number" || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  const source = context?.source ?? "";
  return /^-?\d+$/.test(source) ? BigInt(source) : value;
}
