// @ts-check
/** Asking the service over HTTP. */

const PATIENCE_MILLISECONDS = 10_000;
const TEMPORARY = new Set([0, 429, 502, 503, 504]);

/** An answer that is an error; `status` 0: there was no answer. */
export class ApiError extends Error {
  /**
   * @param {number} status @param {string} message
   * @param {number} [retryAfter] seconds after which to ask again, if it said so
   */
  constructor(status, message, retryAfter) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }

  /** Whether the same request may well be answered later. */
  get temporary() {
    return TEMPORARY.has(this.status);
  }
}

/**
 * Ask and return the JSON answer.
 * @param {string} path
 * @param {{method?: string, token?: string, body?: unknown, patience?: number}} [request]
 *   `patience`: milliseconds
 * @returns {Promise<any>}
 */
export async function ask(path, { method = "GET", token, body, patience = PATIENCE_MILLISECONDS } = {}) {
  /** @type {Record<string, string>} */
  const headers = { Accept: "application/json" };
  if (token !== undefined) headers["Authorization"] = `Bearer ${token}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const answer = await reach(path, {
    method,
    headers,
    body: body === undefined ? null : JSON.stringify(body),
    signal: AbortSignal.timeout(patience),
  });
  const value = parse(answer.text);
  if (answer.ok) return value;
  throw new ApiError(answer.status, value?.detail ?? `the service answered ${answer.status}`, answer.retryAfter);
}

/** @param {string} path @param {RequestInit} request */
async function reach(path, request) {
  try {
    const response = await fetch(path, request);
    const wait = Number(response.headers.get("Retry-After") ?? NaN);
    const retryAfter = Number.isFinite(wait) ? wait : undefined;
    return { ok: response.ok, status: response.status, text: await response.text(), retryAfter };
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
