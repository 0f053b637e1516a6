// @ts-check
/** The console: what the service is doing, and what became of an event. */
import { ApiError, ask } from "../shared/api.js";
import { byId, setText } from "../shared/dom.js";
import { signIn, signInAgain, signOut } from "../shared/sign_in.js";
import { Counts, Latencies } from "./counts.js";
import { Chart } from "./chart.js";
import { Detail } from "./detail.js";
import { deadLetterTable, sessionTable, streamTable } from "./lists.js";
import { duration } from "../shared/format.js";
import { poll } from "./poll.js";
import { selected, select } from "./selection.js";

const PAGE = Object.freeze({ storageKey: "events.console.account", scope: "operate" });
const SLOW_SECONDS = 3;

const account = await signIn(PAGE);
byId("app").hidden = false;
byId("user").textContent = account.user;
byId("leave").addEventListener("click", leave);

const counts = new Counts(byId("counts"));
const latencies = new Latencies(byId("latencies"));
const rate = new Chart(byId("rate"), { name: "confirmed per second", format: (value) => value.toFixed(value < 10 ? 1 : 0) });
const latency = new Chart(byId("latency"), { name: "p99 of the confirmation latency", format: duration });
const tables = {
  sessions: sessionTable(byId("sessions"), showUser),
  streams: streamTable(byId("streams"), showUser),
  dead: deadLetterTable(byId("dead-letters"), showUser, showEvent),
};
const detail = new Detail(byId("detail"), { get, showEvent, showUser });

let dead = -1;
/** @type {{confirmed: number, at: number} | null} */
let before = null;

byId("find").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const id = input("find-text").value.trim();
  if (id !== "") showEvent(id);
});
byId("filter").addEventListener("input", () => {
  for (const table of Object.values(tables)) table.filter(input("filter").value);
});
addEventListener("hashchange", () => void detail.show(selected()));
void detail.show(selected());
poll(refresh, { every: 1000 });

async function refresh() {
  try {
    show(await get("/v1/status"));
    fresh("good", "Up to date");
    await detail.refresh();
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    fresh("bad", error.message);
    before = null;
  }
}

/** @param {any} status */
function show(status) {
  const { instance, revision, version } = status;
  setText(byId("version"), `revision ${revision} · version ${version} · instance ${instance}`);
  counts.show(status.counts);
  latencies.show(status.latency);
  tables.sessions.show(status.sessions);
  tables.streams.show(status.streams);
  draw(status);
  if (status.counts.dead + status.counts.redriven !== dead) void showDeadLetters(status.counts);
}

/** @param {any} status */
function draw({ counts: { confirmed }, latency: { p99 } }) {
  const at = performance.now() / 1000;
  // After a pause the mean over it would say nothing of any second.
  if (before !== null && at - before.at < SLOW_SECONDS) {
    rate.add(Math.max(0, confirmed - before.confirmed) / (at - before.at));
    latency.add(p99);
  }
  before = { confirmed, at };
}

/** @param {{dead: number, redriven: number}} counted */
async function showDeadLetters(counted) {
  const answer = await get("/v1/dead-letters?limit=200");
  tables.dead.show(answer.dead_letters);
  dead = counted.dead + counted.redriven;
}

/** @param {string} path */
async function get(path) {
  try {
    return await ask(path, { token: account.token });
  } catch (error) {
    if (error instanceof ApiError && error.status === 401) await enterAgain();
    throw error;
  }
}

async function enterAgain() {
  await signInAgain(PAGE, "Your sign-in is no longer valid.");
  location.reload();
}

/** @param {string} id */
function showEvent(id) {
  select({ event: id });
}

/** @param {string} user */
function showUser(user) {
  select({ user });
}

/** @param {"good" | "bad"} tone @param {string} text */
function fresh(tone, text) {
  byId("freshness").setAttribute("data-tone", tone);
  setText(byId("freshness"), text);
}

function leave() {
  signOut(PAGE.storageKey);
  location.reload();
}

/** @param {string} id */
function input(id) {
  return /** @type {HTMLInputElement} */ (byId(id));
}
