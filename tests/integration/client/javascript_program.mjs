// A program that uses the browser client in Node, driven over stdin and seen over
// stdout. The twin of python_program.py; programs.py says what both understand.
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";

import "../../unit/web/globals.js";
import { connect } from "../../../service/web/client/client.js";

const options = JSON.parse(process.argv[2]);
const say = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const memory = new Map();
const storage = {
  getItem(key) {
    if (!options.storage) return memory.get(key) ?? null;
    return existsSync(options.storage) ? readFileSync(options.storage, "utf8") : null;
  },
  setItem(key, value) {
    if (options.storage) writeFileSync(options.storage, value);
    else memory.set(key, value);
    if (JSON.parse(value).seq === options.kill_after_saving) process.kill(process.pid, "SIGKILL");
  },
};

let tickets = 0;
const getTicket = async () => {
  if (options.ticket_url) return buyTicket();
  tickets += 1;
  return tickets <= options.tickets ? `T${tickets}` : null;
};

async function buyTicket() {
  const headers = { Authorization: `Bearer ${options.token}` };
  const answer = await fetch(options.ticket_url, { method: "POST", headers });
  if (!answer.ok) throw new Error(`no ticket: ${answer.status}`);
  return (await answer.json()).ticket;
}

let release;
const released = new Promise((resolve) => (release = resolve));

async function onEvent({ seq, attempt = 1 }) {
  say({ started: seq, attempt });
  if (options.slow?.includes(seq)) await released;
  if (options.refuse?.includes(seq) && attempt === 1) throw new Error("not now");
  if (options.refuse_for_good?.includes(seq)) {
    throw Object.assign(new Error("never"), { final: true });
  }
  say({ handled: seq });
}

const client = connect({
  url: options.url,
  // Node.js before 20.10 has none; Debian's package does it there.
  webSocket: globalThis.WebSocket ?? createRequire(import.meta.url)("ws"),
  device: "d1",
  storage,
  getTicket: (options.tickets ?? options.ticket_url) === undefined ? undefined : getTicket,
  onEvent,
  onEphemeral: ({ type }) => say({ ephemeral: type }),
  onState: ({ state, reason = "", resume = "" }) => say({ state, reason, resume }),
  onGap: ({ first, last }) => say({ gap: [first, last] }),
  onProblem: ({ code }) => say({ problem: code }),
});

for await (const line of createInterface({ input: process.stdin })) {
  if (line === "release") release();
  else if (line === "renew") say({ renewed: await client.renew() });
  else if (line === "cancel") say({ cancelled: client.cancel("r1") });
  else break;
}
process.stdin.destroy();
await client.close();
say({ closed: true });
