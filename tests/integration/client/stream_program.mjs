// The browser client in Node, by a stream or by whatever gets through; says on stdout
// what it handles and how it is connected, until a line on stdin.
import { createInterface } from "node:readline";

import "../../unit/web/globals.js";
import { connect } from "../../../service/web/client/client.js";

const options = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** A WebSocket of a network that lets none through. */
class BlockedSocket {
  static OPEN = 1;
  readyState = 3;

  constructor() {
    say({ socket: "blocked" });
    setTimeout(() => this.onclose({ code: 1006 }), 1);
  }

  close() {}
}

const client = connect({
  url: options.url,
  transport: options.transport,
  webSocket: BlockedSocket,
  authorization: async () => `Bearer ${options.token}`,
  device: "d1",
  onEvent({ seq, attempt, data }) {
    say({ started: seq, attempt });
    if (options.refuse?.includes(seq) && attempt === 1) throw new Error("not now");
    say({ handled: seq, data });
  },
  onState: ({ state, reason = "", resume = "" }) => say({ state, reason, resume }),
  onProblem: ({ code }) => say({ problem: code }),
});

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "cancel") say({ cancelled: client.cancel("r1") });
  else break;
}
process.stdin.destroy();
await client.close();
say({ closed: true });
