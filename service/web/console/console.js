// @ts-check
/** The console: what the service is doing, and what became of an event. */
import { ApiError } from "../shared/api.js";
import { byId, setText } from "../shared/dom.js";
import { number } from "../shared/format.js";
import { signIn, signOut } from "../shared/sign_in.js";
import { Connections } from "./connections.js";
import { Detail } from "./detail.js";
import { Letters } from "./letters.js";
import { Overview } from "./overview.js";
import { poll } from "./poll.js";
import { currentRoute, go, viewOf } from "./route.js";
import { SearchView } from "./search_view.js";
import { PAGE, Service, problem, waitSeconds } from "./service.js";

const EVERY_MILLISECONDS = 2_000;
// A service that answers slowly is asked rarely.
const REST_FACTOR = 10;

const account = await signIn(PAGE);
const service = new Service(account);
byId("app").hidden = false;
setText(byId("user"), account.user);

/** @type {Record<string, import("./view.js").View>} */
const views = {
  overview: new Overview(byId("overview"), service),
  connections: new Connections(byId("connections"), service),
  "dead-letters": new Letters(byId("dead-letters"), service),
  search: new SearchView(byId("search"), service),
  detail: new Detail(byId("detail"), service),
};
let view = views["overview"];
let failures = 0;

byId("leave").addEventListener("click", leave);
byId("skip").addEventListener("click", () => byId("content").focus());
byId("find").addEventListener("submit", (submitted) => {
  submitted.preventDefault();
  const q = searchField().value.trim();
  if (q !== "") go({ q });
});
addEventListener("keydown", (pressed) => {
  if (pressed.key !== "/" || pressed.ctrlKey || pressed.metaKey || pressed.altKey) return;
  if (isTyping(pressed.target) || document.querySelector("dialog[open]") !== null) return;
  pressed.preventDefault();
  searchField().select();
  searchField().focus();
});
addEventListener("hashchange", () => void open({ focus: true }));
void open({ focus: false });
poll(refresh);

/** @param {{focus: boolean}} how */
async function open({ focus }) {
  const route = currentRoute();
  const name = viewOf(route);
  view = views[name];
  for (const [each, { place }] of Object.entries(views)) place.hidden = each !== name;
  for (const link of byId("nav").querySelectorAll("a")) {
    if (link.dataset["view"] === name) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  searchField().value = route["q"] ?? "";
  const shown = view;
  try {
    await shown.show(route);
  } catch (error) {
    failed(error);
  }
  if (shown !== view) return;
  const title = view.place.querySelector(".view-title");
  document.title = `${title?.textContent ?? "Overview"} · Console`;
  if (focus && title instanceof HTMLElement && !view.place.contains(document.activeElement)) {
    scrollTo(0, 0);
    title.focus({ preventScroll: true });
  }
}

async function refresh() {
  const began = performance.now();
  try {
    const status = await service.get("/v1/status");
    showStatus(status);
    await view.refresh(status);
    failures = 0;
    fresh("good", "Up to date");
    return Math.max(EVERY_MILLISECONDS, REST_FACTOR * (performance.now() - began));
  } catch (error) {
    return 1000 * failed(error);
  }
}

/** Say what is wrong; returns after how many seconds to try again. @param {unknown} error */
function failed(error) {
  if (!(error instanceof ApiError)) throw error;
  failures += 1;
  const seconds = waitSeconds(error, failures);
  fresh("bad", `${problem(error)} Trying again.`);
  return seconds;
}

/** @param {any} status */
function showStatus({ instance, revision, version, counts }) {
  setText(byId("version"), `Answered by revision ${revision}, instance ${instance}, version ${version}`);
  const badge = byId("dead-badge");
  badge.hidden = counts.dead === 0;
  setText(badge, number(counts.dead));
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

function searchField() {
  return /** @type {HTMLInputElement} */ (byId("find-text"));
}

/** @param {EventTarget | null} target */
function isTyping(target) {
  return target instanceof Element && target.matches("input, select, textarea");
}
