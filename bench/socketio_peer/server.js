// Socket.IO as the measured process: emits in process, counts the client's callbacks.
// Memory only: nothing survives the process. Order of work: see orders.py.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { Server } from "socket.io";
import { listen, say } from "./lines.js";

let load, data;
let measuring = false;
let over = false;
let published = 0;
let confirmed = 0;
const latencies = [];
const sockets = [];

const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  perMessageDeflate: false,
  httpCompression: false,
  serveClient: false,
});

function eventOf(socket) {
  socket.data.seq += 1;
  return {
    t: "ev",
    seq: socket.data.seq,
    id: randomUUID(),
    type: "tool_executing",
    at: Date.now() / 1000,
    attempt: 1,
    data: { ...data, step: socket.data.seq },
    run: "run-1",
  };
}

function publish(socket) {
  if (over) return;
  const publishedAt = process.hrtime.bigint();
  published += 1;
  const confirm = () => {
    confirmed += 1;
    if (measuring) latencies.push(Number(process.hrtime.bigint() - publishedAt) / 1e6);
    if (!load.rate) publish(socket);
    if (over && confirmed === published) finish();
  };
  if (load.api === "callback") socket.emit("event", eventOf(socket), confirm);
  else socket.emitWithAck("event", eventOf(socket)).then(confirm);
}

function start() {
  if (load.rate) pace();
  else for (const socket of sockets) for (let n = 0; n < load.window; n++) publish(socket);
  setTimeout(measure, load.warm_seconds * 1000);
}

function pace() {
  const started = process.hrtime.bigint();
  let count = 0;
  setInterval(() => {
    const due = (Number(process.hrtime.bigint() - started) / 1e9) * load.rate;
    for (; count < Math.floor(due); count++) publish(sockets[count % sockets.length]);
  }, 1);
}

let seconds = 0;

function measure() {
  say({ mark: "begin" });
  measuring = true;
  const started = process.hrtime.bigint();
  setTimeout(() => {
    measuring = false;
    seconds = Number(process.hrtime.bigint() - started) / 1e9;
    say({ mark: "end" });
    over = true;
    if (confirmed === published) finish();
  }, load.measure_seconds * 1000);
}

function share(part) {
  if (latencies.length === 0) return null;
  const at = Math.min(latencies.length - 1, Math.floor(latencies.length * part));
  return Math.round(latencies[at] * 1000) / 1000;
}

function finish() {
  latencies.sort((a, b) => a - b);
  const result = {
    events: latencies.length,
    seconds,
    p50: share(0.5),
    p95: share(0.95),
    p99: share(0.99),
    longest: share(1),
    published,
    faults: published - confirmed,
  };
  say({ result }, () => process.exit(0));
}

io.on("connection", (socket) => {
  socket.data.seq = 0;
  sockets.push(socket);
});
listen({
  order: (order) => {
    ({ load, data } = order);
    http.listen(0, "127.0.0.1", () => say({ ready: http.address().port }));
  },
  go: start,
});
