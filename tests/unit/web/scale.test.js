// @ts-check
/** The marks of a chart's axes are round, few, and reach what they must. */
import assert from "node:assert/strict";
import { test } from "node:test";

import { timeMarks, valueMarks } from "../../../service/web/console/scale.js";

test("values are marked from 0 up to at least the highest, in few round steps", () => {
  for (const highest of [0.00012, 0.07, 1, 1.1, 3, 9.99, 10, 47, 101, 2_500, 123_456]) {
    const marks = valueMarks(highest);
    const step = marks[1];

    assert.equal(marks[0], 0);
    assert.ok(marks[marks.length - 1] >= highest * (1 - 1e-9), `${highest}: ${marks}`);
    assert.ok(marks.length <= 6, `${highest}: ${marks}`);
    assert.ok([1, 2, 5].includes(Number((step / 10 ** Math.floor(Math.log10(step * 1.0000001))).toFixed(6))), String(step));
  }
});

test("counts have whole marks", () => {
  assert.deepEqual(valueMarks(2, { whole: true }), [0, 1, 2]);
});

test("nothing at all still has an axis", () => {
  assert.deepEqual(valueMarks(0), [0, 1]);
  assert.deepEqual(valueMarks(NaN), [0, 1]);
});

test("times are full and lie within", () => {
  const from = 1_790_000_123;
  for (const minutes of [15, 60, 360, 1_440]) {
    const to = from + minutes * 60;
    const marks = timeMarks(from, to, 6);

    assert.ok(marks.length >= 2 && marks.length <= 7, `${minutes}: ${marks.length}`);
    assert.ok(marks.every((at) => at >= from && at <= to && at % 30 === 0));
  }
});
