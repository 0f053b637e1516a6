// @ts-check
/**
 * Who uses a page: by a one-time code in the URL's fragment, a kept token, or a token
 * pasted by hand.
 *
 * @typedef {{token: string, user: string, scopes: string[] | null}} Account `scopes`:
 *   null when only the service knows them
 */
import { ApiError, ask } from "./api.js";
import { byId, el } from "./dom.js";

const CODE = /^#code=(.+)$/;
const AWAY = new Set([0, 502, 503, 504]);
const ATTEMPTS = 15;
const WAIT_MILLISECONDS = 1000;

/**
 * Return who uses the page; shows how to get in until somebody is.
 * @param {{storageKey: string, scope?: string}} page which keeps its own account, and
 *   the scope that it needs
 * @returns {Promise<Account>}
 */
export async function signIn({ storageKey, scope }) {
  // A link to an open page changes its fragment only.
  addEventListener("hashchange", () => CODE.test(location.hash) && location.reload());
  try {
    const code = takeCode();
    const account = code === null ? kept(storageKey) : await redeem(code);
    if (account !== null) return keep(storageKey, allowed(account, scope));
    return await askForToken(storageKey, scope, "");
  } catch (error) {
    return await askForToken(storageKey, scope, explained(error));
  }
}

/**
 * Forget the account and show how to get in; `why` is shown to the user.
 * @param {{storageKey: string, scope?: string}} page @param {string} why
 */
export async function signInAgain({ storageKey, scope }, why) {
  signOut(storageKey);
  return await askForToken(storageKey, scope, why);
}

/** @param {string} storageKey */
export function signOut(storageKey) {
  sessionStorage.removeItem(storageKey);
}

/** Take the code out of the address bar and the history, before anything else. */
function takeCode() {
  const found = CODE.exec(location.hash);
  if (found === null) return null;
  history.replaceState(null, "", location.pathname + location.search);
  return found[1]; // codes are made of letters that a URL leaves alone
}

/**
 * The code has left the address bar already, so a service that restarts is waited for.
 * @param {string} code
 * @returns {Promise<Account>}
 */
async function redeem(code) {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask("/v1/codes", { method: "POST", body: { code } });
    } catch (error) {
      const away = error instanceof ApiError && AWAY.has(error.status);
      if (!away || attempt === ATTEMPTS) throw error;
      await new Promise((resolve) => setTimeout(resolve, WAIT_MILLISECONDS));
    }
  }
}

/** @param {string} storageKey @returns {Account | null} */
function kept(storageKey) {
  const text = sessionStorage.getItem(storageKey);
  return text === null ? null : JSON.parse(text);
}

/** @param {string} storageKey @param {Account} account */
function keep(storageKey, account) {
  sessionStorage.setItem(storageKey, JSON.stringify(account));
  return account;
}

/** @param {Account} account @param {string | undefined} scope */
function allowed(account, scope) {
  if (scope === undefined || account.scopes === null || account.scopes.includes(scope)) return account;
  throw new ApiError(403, `${account.user} lacks the scope “${scope}”, which this page needs.`);
}

/** @param {unknown} error */
function explained(error) {
  if (!(error instanceof ApiError)) return "What this page had kept cannot be read.";
  if (error.status === 0) return "The service does not answer. Try again in a moment.";
  if (error.status === 401) return "This code was used before, or is too old. Codes work once, for ten minutes.";
  return error.message;
}

/**
 * @param {string} storageKey @param {string | undefined} scope @param {string} why
 * @returns {Promise<Account>}
 */
function askForToken(storageKey, scope, why) {
  const { gate, form, field, problem } = gateView(scope, why);
  byId("app").hidden = true;
  document.body.append(gate);
  field.focus();
  return new Promise((resolve) => {
    form.addEventListener("submit", (submitted) => {
      submitted.preventDefault();
      try {
        const account = allowed(read(field.value.trim()), scope);
        gate.remove();
        byId("app").hidden = false;
        resolve(keep(storageKey, account));
      } catch (error) {
        problem.textContent = error instanceof Error ? error.message : String(error);
      }
    });
  });
}

/** @param {string | undefined} scope @param {string} why */
function gateView(scope, why) {
  const command = `python -m service token --user NAME${scope ? ` --scope ${scope}` : ""}`;
  const field = /** @type {HTMLInputElement} */ (
    el("input", { id: "token", type: "password", autocomplete: "off", spellcheck: "false", required: true })
  );
  const problem = el("p", { class: "gate-problem", role: "alert" }, why);
  const form = el(
    "form",
    { class: "gate-form" },
    el("label", { for: "token" }, "Token"),
    el("div", { class: "gate-row" }, field, el("button", { class: "button primary" }, "Sign in")),
  );
  const gate = el(
    "main",
    { class: "gate" },
    el("h1", {}, "Sign in"),
    problem,
    el("p", {}, "This page opens by a link with a one-time code, as the service prints it when it starts. Or make a token:"),
    el("pre", { class: "gate-command" }, command),
    el("p", {}, "and paste it here. It stays in this tab until you close it."),
    form,
  );
  return { gate, form, field, problem };
}

/**
 * Read whose token it is. The service checks the signature; this only shows a name.
 * @param {string} token
 * @returns {Account}
 */
function read(token) {
  try {
    const { sub, email, scope, scp } = JSON.parse(decoded(token.split(".")[1]));
    if (typeof sub !== "string") throw new Error("no user");
    const scopes = typeof scope === "string" ? scope.split(" ") : Array.isArray(scp) ? scp : null;
    // An identity token names an account; what that may do, the service knows.
    if (scopes === null && typeof email === "string") return { token, user: email, scopes: null };
    return { token, user: sub, scopes: scopes ?? [] };
  } catch {
    throw new Error("This is not a token: it has three parts with dots between.");
  }
}

/** The UTF-8 text in URL-safe base64. @param {string} part */
function decoded(part) {
  const bytes = atob(part.replaceAll("-", "+").replaceAll("_", "/"));
  return new TextDecoder().decode(Uint8Array.from(bytes, (byte) => byte.charCodeAt(0)));
}
