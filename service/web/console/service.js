// @ts-check
/**
 * Asking the service as the operator who is signed in. A sign-in that is over, or that
 * does not allow this, leads to the way in; afterwards the same is asked again.
 *
 * @typedef {import("../shared/sign_in.js").Account} Account
 */
import { ApiError, ask } from "../shared/api.js";
import { setText, byId } from "../shared/dom.js";
import { signInAgain } from "../shared/sign_in.js";

export const PAGE = Object.freeze({ storageKey: "events.console.account", scope: "operate" });

const POST_PATIENCE_MILLISECONDS = 60_000;
const ATTEMPTS = 8;
const LONGEST_WAIT_SECONDS = 15;

export class Service {
  /** @type {Promise<Account> | null} */
  #entering = null;
  #account;

  /** @param {Account} account */
  constructor(account) {
    this.#account = account;
  }

  get token() {
    return this.#account.token;
  }

  /** @param {string} path @param {Record<string, unknown>} [query] */
  async get(path, query = {}) {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== null && value !== "");
    const search = given.length === 0 ? "" : `?${new URLSearchParams(given.map(([name, value]) => [name, String(value)]))}`;
    return await this.#as((token) => ask(`${path}${search}`, { token }));
  }

  /**
   * Post; while the service is busy or away, again, so only what may be done twice.
   * @param {string} path @param {unknown} body @param {(why: string) => void} [waiting]
   */
  async post(path, body, waiting = () => undefined) {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#as((token) => ask(path, { method: "POST", token, body, patience: POST_PATIENCE_MILLISECONDS }));
      } catch (error) {
        if (!(error instanceof ApiError && error.temporary) || attempt === ATTEMPTS) throw error;
        const seconds = waitSeconds(error, attempt);
        waiting(`${problem(error)} Trying again in ${seconds} s.`);
        await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
      }
    }
  }

  /**
   * Fetch what is no JSON, as a file.
   * @param {string} path
   * @returns {Promise<Blob>}
   */
  async file(path) {
    return await this.#as(async (token) => {
      const answer = await fetch(path, { headers: { Authorization: `Bearer ${token}` } }).catch(() => null);
      if (answer === null) throw new ApiError(0, "the service does not answer");
      if (!answer.ok) throw new ApiError(answer.status, `the service answered ${answer.status}`);
      return await answer.blob().catch(() => {
        throw new ApiError(0, "the answer broke off; it is not whole");
      });
    });
  }

  /**
   * @template T
   * @param {(token: string) => Promise<T>} request
   * @returns {Promise<T>}
   */
  async #as(request) {
    for (;;) {
      const { token } = this.#account;
      try {
        return await request(token);
      } catch (error) {
        if (!(error instanceof ApiError) || (error.status !== 401 && error.status !== 403)) throw error;
        if (token === this.#account.token) await this.#enter(reason(error, this.#account.user));
      }
    }
  }

  /** @param {string} why */
  async #enter(why) {
    this.#entering ??= signInAgain(PAGE, why);
    try {
      for (const open of document.querySelectorAll("dialog")) open.close();
      this.#account = await this.#entering;
      setText(byId("user"), this.#account.user);
    } finally {
      this.#entering = null;
    }
  }
}

/**
 * What went wrong, for people.
 * @param {ApiError} error
 */
export function problem(error) {
  if (error.status === 0) return `${capital(error.message)}.`;
  if (error.status === 429) return "The service is asked too often.";
  if ([502, 503, 504].includes(error.status)) return "The service cannot reach its database just now.";
  return capital(error.message);
}

/** @param {ApiError} error @param {number} attempt from 1 */
export function waitSeconds(error, attempt) {
  return Math.max(error.retryAfter ?? 0, Math.min(LONGEST_WAIT_SECONDS, 2 ** (attempt - 1)));
}

/** @param {ApiError} error @param {string} user */
function reason(error, user) {
  if (error.status === 401) return "Your sign-in is no longer valid.";
  return `${user} may not use this page: it needs the scope “${PAGE.scope}”, and the service refused.`;
}

/** @param {string} text */
function capital(text) {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}`;
}
