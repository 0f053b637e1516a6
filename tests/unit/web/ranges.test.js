// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import * as ranges from "../../../service/web/client/ranges.js";

/** The only right answer, the slow way. @param {Iterable<number>} numbers */
function canonical(numbers) {
  /** @type {[number, number][]} */
  const built = [];
  for (const n of [...numbers].sort((a, b) => a - b)) {
    const last = built.at(-1);
    if (last !== undefined && n <= last[1] + 1) last[1] = n;
    else built.push([n, n]);
  }
  return built;
}

/** Every subset of 0…7, which is every way that ranges can meet. */
function* subsets() {
  for (let bits = 0; bits < 256; bits += 1) {
    yield [0, 1, 2, 3, 4, 5, 6, 7].filter((n) => (bits >> n) & 1);
  }
}

test("adding a range anywhere gives the set of both", () => {
  for (const numbers of subsets()) {
    for (let first = 0; first < 8; first += 1) {
      for (let last = first; last < 8; last += 1) {
        const added = Array.from({ length: last - first + 1 }, (_, i) => first + i);

        assert.deepEqual(
          ranges.add(canonical(numbers), first, last),
          canonical(new Set([...numbers, ...added])),
        );
      }
    }
  }
});

test("contains, prefixEnd and above are those of the set", () => {
  for (const numbers of subsets()) {
    const kept = canonical(numbers);
    for (let n = 0; n < 9; n += 1) {
      let end = n;
      while (numbers.includes(end + 1)) end += 1;

      assert.equal(ranges.contains(kept, n), numbers.includes(n));
      assert.equal(ranges.prefixEnd(kept, n), end);
      assert.deepEqual(ranges.above(kept, n), canonical(numbers.filter((m) => m > n)));
    }
  }
});

test("pairs and values come in any order", () => {
  const pairs = /** @type {[number, number][]} */ ([
    [5, 7],
    [1, 2],
    [2, 5],
  ]);

  assert.deepEqual(ranges.of(pairs), [[1, 7]]);
  assert.deepEqual(ranges.ofValues([9, 3, 10, 4, 1]), canonical([1, 3, 4, 9, 10]));
});

test("a range that ends before it starts is an error", () => {
  assert.throws(() => ranges.add([], 5, 3), RangeError);
});
