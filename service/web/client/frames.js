// @ts-check
/**
 * What a device receives: frames, checked once and strictly, so that the machine in
 * device.js never meets a wrong shape. An unknown `t` is ignored, an unknown key too;
 * a known `t` of the wrong shape makes the whole message garbled.
 *
 * @typedef {{epoch: string, seq: number, beyond?: import("./ranges.js").Ranges}} Cursor
 *
 * @typedef {object} Welcome
 * @property {"welcome"} t
 * @property {string} conn
 * @property {string} epoch
 * @property {"new" | "ok" | "gap" | "reset"} resume
 * @property {number} from the first seq that will be sent
 * @property {number} [heartbeat_s]
 * @property {number} [ack_wait_s]
 *
 * @typedef {object} EventFrame
 * @property {"ev"} t
 * @property {number} seq
 * @property {string} id
 * @property {string} type
 * @property {number} at seconds since 1970, when the event was accepted
 * @property {number} [attempt]
 * @property {any} [data] the publisher's own JSON
 * @property {string | null} [run]
 * @property {string | null} [thread]
 * @property {boolean} [replay]
 * @property {number} [redrive]
 * @property {string | null} [trace]
 *
 * @typedef {object} EphemeralFrame
 * @property {"eph"} t
 * @property {string} type
 * @property {any} [data]
 * @property {string | null} [run]
 * @property {string | null} [thread]
 *
 * @typedef {{t: "live", seq?: number}} Live
 * @typedef {{t: "gap", from: number, to: number, reason?: string}} Gap
 * @typedef {{t: "settled", seqs: import("./ranges.js").Ranges, outcome: string, by?: string | null}} Settled
 * @typedef {{t: "goaway", within_ms?: number, reason?: string}} Goaway
 * @typedef {{t: "err", code: string, message?: string, temporary?: boolean}} Err
 * @typedef {{t: "ping", at?: any}} Ping
 * @typedef {{t: "pong"}} Pong
 * @typedef {Welcome | EventFrame | EphemeralFrame | Live | Gap | Settled | Goaway | Err | Ping | Pong} ServerFrame
 */

export const SUBPROTOCOL = "events.v1.json";
export const PROTOCOL_VERSION = 1;

/** Close codes of the session protocol; what a client then does: `afterClose`. */
export const CloseCode = Object.freeze({
  GOAWAY: 4001,
  SLOW_READER: 4008,
  NO_PONG: 4012,
  RATE_LIMITED: 4029,
  BAD_FRAME: 4400,
  UNAUTHORIZED: 4401,
  FORBIDDEN: 4403,
  SUBPROTOCOL: 4406,
  REPLACED: 4409,
  TOO_LARGE: 4413,
});

/** @typedef {(value: any) => boolean} Check */

/** @type {Check} */
const text = (value) => typeof value === "string";
/** @type {Check} */
const flag = (value) => typeof value === "boolean";
/** @type {Check} */
const number = (value) => typeof value === "number" && Number.isFinite(value);
/** @type {Check} */
const positive = (value) => number(value) && value > 0;
/** @type {Check} */
const count = (value) => Number.isSafeInteger(value) && value >= 0;
/** @type {Check} */
const place = (value) => count(value) && value >= 1;
/** @type {Check} */
const ranges = (value) => Array.isArray(value) && value.every(range);
/** @type {Check} */
const range = (value) =>
  Array.isArray(value) && value.length === 2 && value.every(count) && value[0] <= value[1];
/** @type {Check} */
const resume = (value) => ["new", "ok", "gap", "reset"].includes(value);
/** @type {(check: Check) => Check} */
const optional = (check) => (value) => value === undefined || check(value);
/** @type {(check: Check) => Check} */
const nullable = (check) => (value) => value === undefined || value === null || check(value);

/** @type {ReadonlyMap<string, Record<string, Check>>} */
const SHAPES = new Map(
  /** @type {[string, Record<string, Check>][]} */ ([
    [
      "welcome",
      {
        conn: text,
        epoch: text,
        resume,
        from: place,
        heartbeat_s: optional(positive),
        ack_wait_s: optional(positive),
      },
    ],
    [
      "ev",
      {
        seq: place,
        id: text,
        type: text,
        at: number,
        attempt: optional(count),
        run: nullable(text),
        thread: nullable(text),
        replay: optional(flag),
        redrive: optional(count),
        trace: nullable(text),
      },
    ],
    ["eph", { type: text, run: nullable(text), thread: nullable(text) }],
    ["live", { seq: optional(count) }],
    ["gap", { from: count, to: count, reason: optional(text) }],
    ["settled", { seqs: ranges, outcome: text, by: nullable(text) }],
    ["goaway", { within_ms: optional(number), reason: optional(text) }],
    ["err", { code: text, message: optional(text), temporary: optional(flag) }],
    ["ping", {}],
    ["pong", {}],
  ]),
);

/** A message that is not JSON, or a known frame of the wrong shape. */
export class GarbledError extends Error {}

/**
 * The frames of one WebSocket message, without those of unknown type.
 * @param {unknown} message
 * @returns {ServerFrame[]}
 */
export function parse(message) {
  if (typeof message !== "string") throw new GarbledError("not a text message");
  const decoded = decode(message);
  const frames = Array.isArray(decoded) ? decoded : [decoded];
  return frames.filter(isKnown);
}

/** @param {string} message */
function decode(message) {
  try {
    return JSON.parse(message);
  } catch {
    throw new GarbledError("not JSON");
  }
}

/** @param {any} frame */
function isKnown(frame) {
  if (typeof frame !== "object" || frame === null || !text(frame.t)) {
    throw new GarbledError("not a frame");
  }
  const shape = SHAPES.get(frame.t);
  if (shape === undefined) return false;
  for (const [key, check] of Object.entries(shape)) {
    if (!check(frame[key])) throw new GarbledError(`${frame.t}: wrong ${key}`);
  }
  if (frame.t === "gap" && frame.from > frame.to) throw new GarbledError("gap: not a range");
  return true;
}

/**
 * A cursor that was stored as text, or null when the text is not one.
 * @param {string | null} stored
 * @returns {Cursor | null}
 */
export function parseCursor(stored) {
  if (stored === null) return null;
  try {
    const cursor = JSON.parse(stored);
    const valid = text(cursor.epoch) && count(cursor.seq) && optional(ranges)(cursor.beyond);
    return valid ? cursor : null;
  } catch {
    return null;
  }
}
