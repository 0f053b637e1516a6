// @ts-check
/** The user's page: what agents do for its user, as it happens and after a reload. */
import { connect } from "../client/client.js";
import { ApiError, ask } from "../shared/api.js";
import { byId, el } from "../shared/dom.js";
import { signIn, signInAgain, signOut } from "../shared/sign_in.js";
import { Confirmations } from "./confirmations.js";
import { Connection } from "./connection.js";
import { followEnd } from "./follow.js";
import { Missed } from "./missed.js";
import { Runs } from "./runs.js";

const PAGE = Object.freeze({ storageKey: "events.user.account" });
const SHOWN_EVENTS = 5_000;
const RETRY_SECONDS = 2;

const account = await signIn(PAGE);
const connection = new Connection(byId("connection"));
byId("app").hidden = false;
byId("user").textContent = account.user;
byId("leave").addEventListener("click", leave);

const { head, settled } = await streamOf(account);
const confirmations = new Confirmations(account, settled);
const missed = new Missed(byId("missed"));
const runs = new Runs(byId("runs"), (run) => client.cancel(run));
let expired = false;
followEnd(byId("runs"));

const client = connect({
  url: `${location.protocol === "https:" ? "wss:" : "ws:"}//${location.host}/v1/socket`,
  start: Math.max(1, head - SHOWN_EVENTS + 1),
  getTicket,
  authorization: () => (expired ? null : `Bearer ${account.token}`),
  onProblem: ({ code }) => void (expired ||= code === "unauthorized"),
  onEvent,
  onEphemeral: (piece) => runs.addPiece(piece),
  onState,
  onSettled: (settled) => missed.settled(settled),
  onGap: ({ first, last, reason }) => notify(`Events ${first} to ${last} are gone for good (${reason}).`),
});

/** @param {import("../client/client.js").EventFrame} event */
function onEvent(event) {
  missed.came(event);
  const tick = runs.add(event);
  byId("empty").hidden = true;
  // The client acks when this function has returned, in this same turn.
  confirmations.handled(event.seq, tick);
  missed.shown(event);
}

/** @param {import("../client/client.js").StateChange} change */
function onState(change) {
  connection.show(change);
  byId("runs").setAttribute("aria-busy", String(change.state !== "live"));
  if (change.state === "replaying" && change.resume === "reset") startOver();
  if (change.state === "live") byId("empty").hidden = runs.count > 0;
  if (change.state === "stopped") void stopped(change.reason ?? "no reason was given");
}

async function getTicket() {
  try {
    const answer = await ask("/v1/tickets", { method: "POST", token: account.token });
    return answer.ticket;
  } catch (error) {
    if (!isRefusal(error)) throw error;
    expired = true;
    return null;
  }
}

/** Ask where the stream stands, until the service answers. @param {typeof account} of */
async function streamOf({ user, token }) {
  for (;;) {
    try {
      return await ask(`/v1/users/${encodeURIComponent(user)}/events?limit=0`, { token });
    } catch (error) {
      if (isRefusal(error)) await enterAgain();
      await pause(error);
    }
  }
}

/** @param {unknown} error */
async function pause(error) {
  const retryAt = new Date(Date.now() + RETRY_SECONDS * 1000);
  connection.show({ state: "waiting", reason: String(error), retryAt });
  await new Promise((resolve) => setTimeout(resolve, RETRY_SECONDS * 1000));
  connection.show({ state: "connecting" });
}

/** @param {unknown} error */
function isRefusal(error) {
  return error instanceof ApiError && (error.status === 401 || error.status === 403);
}

/** @param {string} reason */
async function stopped(reason) {
  if (expired) return enterAgain();
  notify(
    `The connection was ended for good: ${reason}.`,
    el("button", { class: "button small", type: "button", onclick: () => location.reload() }, "Connect again"),
  );
}

async function enterAgain() {
  await signInAgain(PAGE, "Your sign-in is no longer valid.");
  location.reload();
}

/** The service lost its history and began another: what is shown stays readable. */
function startOver() {
  confirmations.startOver();
  missed.startOver();
  notify("The service was restored from a backup. What it shows from here on is new.");
}

function leave() {
  signOut(PAGE.storageKey);
  location.reload();
}

/** @param {string} text @param {Node[]} more */
function notify(text, ...more) {
  byId("notice").replaceChildren(text, ...more);
  byId("notice").hidden = false;
}
