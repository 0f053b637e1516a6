// @ts-check
/**
 * Sets of integers as sorted, disjoint, closed ranges: `[[1, 3], [5, 5]]`.
 *
 * Every function returns a new set and changes nothing; every function expects and
 * returns ranges that neither overlap nor touch. The twin of service/core/ranges.py.
 *
 * @typedef {readonly [number, number]} Range
 * @typedef {readonly Range[]} Ranges
 */

/** @type {Ranges} */
export const EMPTY = [];

/**
 * The set with `first` to `last`, both included.
 * @param {Ranges} ranges @param {number} first @param {number} last
 * @returns {Ranges}
 */
export function add(ranges, first, last) {
  if (first > last) throw new RangeError(`a range ends before it starts: ${first} to ${last}`);
  const end = ranges.at(-1);
  if (end === undefined || first > end[1] + 1) return [...ranges, [first, last]];
  const low = ranges.findIndex((range) => range[1] >= first - 1);
  let high = low;
  while (high < ranges.length && ranges[high][0] <= last + 1) high += 1;
  if (low < high) {
    first = Math.min(first, ranges[low][0]);
    last = Math.max(last, ranges[high - 1][1]);
  }
  return [...ranges.slice(0, low), [first, last], ...ranges.slice(high)];
}

/**
 * Whether `value` is in the set.
 * @param {Ranges} ranges @param {number} value
 */
export function contains(ranges, value) {
  return ranges.some(([first, last]) => first <= value && value <= last);
}

/**
 * The end of the unbroken run that starts at `floor + 1`, else `floor`.
 * @param {Ranges} ranges @param {number} floor
 */
export function prefixEnd(ranges, floor) {
  const run = ranges.find(([first, last]) => first <= floor + 1 && floor < last);
  return run === undefined ? floor : run[1];
}

/**
 * The part of the set that is greater than `floor`.
 * @param {Ranges} ranges @param {number} floor
 * @returns {Ranges}
 */
export function above(ranges, floor) {
  return ranges
    .filter(([, last]) => last > floor)
    .map(([first, last]) => /** @type {Range} */ ([Math.max(first, floor + 1), last]));
}

/**
 * The set that pairs in any order describe, as they come in a frame.
 * @param {Iterable<Range>} pairs
 * @returns {Ranges}
 */
export function of(pairs) {
  let ranges = EMPTY;
  for (const [first, last] of pairs) ranges = add(ranges, first, last);
  return ranges;
}

/**
 * The set of these integers, in any order.
 * @param {Iterable<number>} numbers
 * @returns {Ranges}
 */
export function ofValues(numbers) {
  return of([...numbers].sort((a, b) => a - b).map((n) => /** @type {Range} */ ([n, n])));
}
