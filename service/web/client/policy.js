// @ts-check
/**
 * What a client does after a close, and the words its machine speaks.
 *
 * @typedef {import("./frames.js").Cursor} Cursor
 * @typedef {import("./frames.js").EventFrame} EventFrame
 * @typedef {import("./frames.js").EphemeralFrame} EphemeralFrame
 * @typedef {"waiting" | "connecting" | "replaying" | "live" | "stopped"} State
 * @typedef {"reconnect" | "reconnect slowly" | "new ticket" | "stop"} AfterClose
 *
 * @typedef {(
 *   {do: "send", frame: Record<string, unknown>} |
 *   {do: "save", cursor: Cursor} |
 *   {do: "handle", event: EventFrame} |
 *   {do: "ephemeral", event: EphemeralFrame} |
 *   {do: "gap", first: number, last: number, reason: string} |
 *   {do: "settled", seqs: import("./ranges.js").Ranges, outcome: string} |
 *   {do: "problem", code: string, message: string, temporary: boolean} |
 *   {do: "state", state: State, reason?: string, delay?: number, resume?: string} |
 *   {do: "close", code: number, reason: string} |
 *   {do: "reconnect", delay: number, new_ticket?: boolean} |
 *   {do: "connect_anew", within: number, reason: string} |
 *   {do: "retire"} |
 *   {do: "stop", code: number, reason: string}
 * )} Action What the owner must do; each is described in device_frames.py.
 */
import { CloseCode } from "./frames.js";

const BACKOFF_BASE_SECONDS = 0.5;
const BACKOFF_CAP_SECONDS = 20;
const MESSAGE_TOO_BIG = 1009;
const MAX_BEYOND = 1000; // ranges in `hello`: more would not fit the largest message
const MAX_REASON_CHARS = 200;

/**
 * What a client does when its socket was closed with this code.
 * @param {number} code
 * @returns {AfterClose}
 */
export function afterClose(code) {
  if (code === CloseCode.RATE_LIMITED) return "reconnect slowly";
  if (code === CloseCode.UNAUTHORIZED) return "new ticket";
  if (code === MESSAGE_TOO_BIG || code >= 4100) return "stop";
  return "reconnect";
}

/**
 * The seconds to wait before this attempt, from 0, with full jitter.
 * @param {number} attempt @param {number} u
 */
export function reconnectDelay(attempt, u) {
  return u * Math.min(BACKOFF_CAP_SECONDS, BACKOFF_BASE_SECONDS * 2 ** attempt);
}

/**
 * The cursor as `hello` holds it; what is cut off will come again.
 * @param {Cursor} cursor
 */
export function short({ epoch, seq, beyond = [] }) {
  return beyond.length === 0 ? { epoch, seq } : { epoch, seq, beyond: beyond.slice(0, MAX_BEYOND) };
}

/**
 * A reason that any JSON decoder takes: short, and valid Unicode.
 * @param {string} reason
 */
export function plain(reason) {
  const characters = Array.from(reason).slice(0, MAX_REASON_CHARS);
  return characters.join("").replace(/\p{Surrogate}/gu, "?");
}
