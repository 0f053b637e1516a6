// @ts-check
/** Where the marks of a chart's axes are. */

const STEPS = [1, 2, 5, 10];
const MINUTE = 60;
const HOUR = 3_600;
const TIME_STEPS = [30, MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 15 * MINUTE, 30 * MINUTE, HOUR, 2 * HOUR, 3 * HOUR, 4 * HOUR, 6 * HOUR];

/**
 * Round marks from 0 up to at least the highest value.
 * @param {number} highest @param {{most?: number, whole?: boolean}} [options] `most`
 *   intervals; `whole`: the values are counts
 */
export function valueMarks(highest, { most = 4, whole = false } = {}) {
  if (!(highest > 0)) return [0, 1];
  const rough = highest / most;
  const power = 10 ** Math.floor(Math.log10(rough));
  const found = (STEPS.find((one) => one * power >= rough * (1 - 1e-9)) ?? 10) * power;
  const step = whole ? Math.max(1, found) : found;
  const count = Math.ceil(highest / step - 1e-9);
  return Array.from({ length: count + 1 }, (_, index) => index * step);
}

/**
 * Full times between two others, by the local clock.
 * @param {number} from seconds since 1970 @param {number} to @param {number} most
 */
export function timeMarks(from, to, most) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? TIME_STEPS[TIME_STEPS.length - 1];
  const offset = new Date(from * 1000).getTimezoneOffset() * MINUTE;
  const marks = [];
  for (let at = Math.ceil((from - offset) / step) * step + offset; at <= to; at += step) marks.push(at);
  return marks;
}
