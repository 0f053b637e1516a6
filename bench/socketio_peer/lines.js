// The lines that the measuring processes tell each other; see orders.py.
import { createInterface } from "node:readline";

/** Writes one line to whoever started this process. */
export function say(line, then = () => {}) {
  process.stdout.write(`${JSON.stringify(line)}\n`, then);
}

/** Calls `order` with the first line, `go` with the second, `end` at the end. */
export function listen({ order, go = () => {}, end = () => {} }) {
  const lines = createInterface({ input: process.stdin });
  const takers = [(text) => order(JSON.parse(text)), go];
  lines.on("line", (text) => takers.shift()?.(text));
  lines.on("close", end);
}
