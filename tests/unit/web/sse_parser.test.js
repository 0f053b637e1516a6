// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import { SseParser } from "../../../service/web/client/sse_parser.js";

const TEXT =
  'retry: 1000\n\n: hello\n\nevent: ev\r\nid: E.1\r\ndata: {"a":\r\ndata: "ü😀"}\r\n\r\n' +
  "data:x\rdata\r\revent: none\n\nevent: close\ndata: {}\n\ndata: never whole\n";
const EXPECTED = [
  { event: "", data: null },
  { event: "ev", data: '{"a":\n"ü😀"}' },
  { event: "message", data: "x\n" },
  { event: "close", data: "{}" },
];

/** @param {Uint8Array[]} pieces */
function parsed(pieces) {
  const decoder = new TextDecoder();
  const parser = new SseParser();
  return pieces.flatMap((piece) => parser.push(decoder.decode(piece, { stream: true })));
}

test("a stream may be cut at any byte, also inside a character or a line break", () => {
  const bytes = new TextEncoder().encode(TEXT);
  for (let first = 0; first <= bytes.length; first += 1) {
    for (const second of [first, first + 1, Math.min(first + 7, bytes.length)]) {
      const pieces = [bytes.slice(0, first), bytes.slice(first, second), bytes.slice(second)];

      assert.deepEqual(parsed(pieces), EXPECTED, `cut at ${first} and ${second}`);
    }
  }
});

test("one byte at a time", () => {
  const bytes = new TextEncoder().encode(TEXT);

  assert.deepEqual(parsed(Array.from(bytes, (byte) => Uint8Array.of(byte))), EXPECTED);
});

test("other line separators of Unicode are text", () => {
  const text = "data: a\u2028b\u0085c\u2029d\n\n";

  assert.deepEqual(new SseParser().push(text), [{ event: "message", data: "a\u2028b\u0085c\u2029d" }]);
});
