// @ts-check
/** How numbers and times look to people. */

const CLOCK = new Intl.DateTimeFormat(undefined, { timeStyle: "medium" });
const DAY = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const COUNT = new Intl.NumberFormat();
const HUGE = new Intl.NumberFormat(undefined, { notation: "scientific", maximumFractionDigits: 3 });
const HUGE_FROM = 1e15;
const DAY_SECONDS = 86_400;

/** @param {number} count */
export function number(count) {
  return (Math.abs(count) < HUGE_FROM ? COUNT : HUGE).format(count);
}

/**
 * The time of day, with the date when it is not today's.
 * @param {number} seconds since 1970
 */
export function moment(seconds) {
  const date = new Date(seconds * 1000);
  if (Number.isNaN(date.getTime())) return "–";
  return date.toDateString() === new Date().toDateString() ? CLOCK.format(date) : DAY.format(date);
}

/** @param {number} seconds since 1970 */
export function exactMoment(seconds) {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString();
}

/**
 * A length of time in its own unit: 850 µs, 12 ms, 3.4 s, 5 min, 2 h.
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (typeof seconds !== "number" || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.001) return `${Math.max(0, Math.round(seconds * 1e6))} µs`;
  if (seconds < 0.9995) return `${short(seconds * 1000)} ms`;
  if (seconds < 59.95) return `${short(seconds)} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ${Math.floor(seconds % 60)} s`;
  if (seconds < DAY_SECONDS) return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} min`;
  return `${Math.floor(seconds / DAY_SECONDS)} d ${Math.floor((seconds % DAY_SECONDS) / 3600)} h`;
}

/** @param {number} value */
function short(value) {
  return value < 10 ? String(Number(value.toFixed(1))) : String(Math.round(value));
}

/** @param {number} count @param {string} one @param {string} many */
export function counted(count, one, many = `${one}s`) {
  return `${number(count)} ${count === 1 ? one : many}`;
}

/**
 * A name of the wire as words: tool_executing, tool executing.
 * @param {string} name
 */
export function words(name) {
  return name.replaceAll("_", " ");
}
