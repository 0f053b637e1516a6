// Holds connections, checks the order of events, and answers each with its callback.
import { io } from "socket.io-client";
import { listen, say } from "./lines.js";

let events = 0;
let repeats = 0;
let disorders = 0;

function connect(port, done) {
  const socket = io(`http://127.0.0.1:${port}`, {
    transports: ["websocket"],
    forceNew: true,
    reconnection: false,
    perMessageDeflate: false,
  });
  let last = 0;
  socket.on("connect", done);
  socket.on("event", (event, callback) => {
    if (event.seq <= last) repeats += 1;
    else if (event.seq !== last + 1) disorders += 1;
    last = Math.max(last, event.seq);
    events += 1;
    callback(event.seq);
  });
}

listen({
  order: ({ port, tokens }) => {
    const count = Object.keys(tokens).length;
    let live = 0;
    const connected = () => {
      live += 1;
      if (live === count) say({ live });
    };
    for (let n = 0; n < count; n++) connect(port, connected);
  },
  end: () => say({ received: { events, repeats, disorders } }, () => process.exit(0)),
});
