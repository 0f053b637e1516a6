// @ts-check
/**
 * The browser client: `connect({ url, getTicket, onEvent })`.
 *
 * Carries out what the device's machine (device.js) decides, over real sockets and a
 * real clock. Needs no build step and nothing that a strict Content-Security-Policy
 * refuses. Runs in Node too, for tests.
 *
 * @typedef {import("./frames.js").Cursor} Cursor
 * @typedef {import("./frames.js").EventFrame} EventFrame
 * @typedef {import("./frames.js").EphemeralFrame} EphemeralFrame
 * @typedef {import("./policy.js").Action} Action
 * @typedef {import("./policy.js").State} State
 *
 * @typedef {object} StateChange
 * @property {State} state
 * @property {string} [reason] why it waits or has stopped
 * @property {Date} [retryAt] when a waiting client connects again
 * @property {string} [resume] of a replaying client: new, ok, gap or reset
 *
 * @typedef {object} Options
 * @property {string} url of the socket, wss://host/v1/socket
 * @property {(event: EventFrame) => unknown} onEvent gets one event at a time, in order;
 *   may be async. The event is acked after it has ended, and redelivered after it has
 *   thrown (an error whose `final` is true: given up).
 * @property {() => string | null | undefined | Promise<string | null | undefined>} [getTicket]
 *   asked before each connection; null stops the client
 * @property {(event: EphemeralFrame) => unknown} [onEphemeral]
 * @property {(change: StateChange) => unknown} [onState]
 * @property {(gap: {first: number, last: number, reason: string}) => unknown} [onGap]
 * @property {(settled: {seqs: import("./ranges.js").Ranges, outcome: string}) => unknown} [onSettled]
 *   told of events that ended otherwise than confirmed: dead, expired, discarded, or
 *   redriven, which come again under a later seq
 * @property {(problem: {code: string, message: string, temporary: boolean}) => unknown} [onProblem]
 * @property {"unsettled" | "oldest" | number} [start] where a new device begins
 * @property {Pick<Storage, "getItem" | "setItem">} [storage] keeps the cursor, saved after
 *   each handled event and before its ack; without it, memory does
 * @property {string} [storageKey] of the cursor; one per user when users share a storage
 * @property {number} [window] the most events in flight
 * @property {string} [device] its name; by default one per tab
 * @property {typeof WebSocket} [webSocket] for environments without their own
 * @property {"auto" | "socket" | "sse"} [transport] "auto": streams by server-sent
 *   events while sockets do not get through; needs `authorization`, as "sse" does
 * @property {() => string | null | Promise<string | null>} [authorization] the header's
 *   value for streams, asked before each; null stops the client
 * @property {typeof fetch} [fetch] for environments without their own
 */
import { Device } from "./device.js";
import { Dialer, RETRY_SECONDS } from "./dialer.js";
import { GarbledError, CloseCode, parse, parseCursor } from "./frames.js";
import { randomName, tabDevice } from "./tab.js";

const HANDLER_GRACE_SECONDS = 10;
const BACK_TO_SOCKET = "back to a socket"; // the reason of a move of our own

/** @typedef {import("./link.js").Link | import("./sse_link.js").SseLink} AnyLink */

/**
 * Connect, and stay connected until `close()` or a final refusal.
 * @param {Options} options
 * @returns {Client}
 */
export function connect(options) {
  return new Client(options);
}

/** One device of one user. Made by `connect`. */
export class Client {
  #options;
  #storageKey;
  /** @type {Device | null} null until the tab's device name is known */
  #device = null;
  // The current socket, and the second one while moving. Both are there from before
  // they open until they end or are replaced.
  /** @type {AnyLink | null} */
  #link = null;
  /** @type {AnyLink | null} */
  #second = null;
  /** @type {AnyLink | null} */
  #retired = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #tickTimer = undefined;
  /** When the tick timer fires, in the machine's time. */
  #tickAt = Infinity;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #connectTimer = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #socketTimer = undefined;
  #dialer;
  /** @type {WeakSet<AnyLink>} */
  #welcomed = new WeakSet();
  #movesBack = false;
  /** @type {(() => void)[]} who waits for the running handler */
  #waiters = [];
  #closed = false;
  #online = () => this.#connectNow();

  /** @param {Options} options */
  constructor(options) {
    this.#options = options;
    this.#dialer = new Dialer(options);
    this.#storageKey = options.storageKey ?? `events.cursor ${options.url}`;
    void this.#start();
  }

  /**
   * What to show of the connection.
   * @returns {State}
   */
  get state() {
    if (this.#device !== null) return this.#device.state;
    return this.#closed ? "stopped" : "connecting";
  }

  /**
   * The place in the stream up to which events are handled; null until connected.
   * @returns {Cursor | null}
   */
  get cursor() {
    return this.#device === null ? null : this.#device.cursor;
  }

  /**
   * Ask that a run be cancelled; false when there is no session to ask in.
   * @param {string} run
   */
  cancel(run) {
    const actions = this.#device?.cancel(run) ?? [];
    this.#perform(actions);
    return actions.length > 0;
  }

  /** Renew the credential of the live session with a new ticket; a stream has none. */
  async renew() {
    if (this.#link?.kind === "sse") return false;
    const ticket = await this.#dialer.credential("socket");
    const actions = ticket ? (this.#device?.renew(ticket) ?? []) : [];
    this.#perform(actions);
    return actions.length > 0;
  }

  /** Let a running handler finish (10 s), ack, say `bye`, and leave nothing behind. */
  async close() {
    this.#closed = true;
    this.#device?.pause();
    if (this.#device?.handlerBusy) await this.#handlerEnd();
    this.#perform(this.#device?.leave() ?? []);
    this.#dropLinks();
  }

  async #start() {
    const { device, storage, start, window } = this.#options;
    const name = device ?? (await tabDevice());
    if (this.#closed) return;
    const cursor = parseCursor(storage?.getItem(this.#storageKey) ?? null);
    const run = { instance: randomName(), started: Date.now() };
    this.#device = new Device(name, { ...run, cursor, start, window });
    globalThis.addEventListener?.("online", this.#online);
    this.#connect();
  }

  // -- actions

  /** @param {Action[]} actions */
  #perform(actions) {
    for (const action of actions) this.#performOne(action);
    this.#scheduleTick();
  }

  /** @param {Action} action */
  #performOne(action) {
    switch (action.do) {
      case "send":
        return this.#link?.post(action.frame);
      case "save":
        return this.#save(action.cursor);
      case "handle":
        return void this.#handle(action.event);
      case "ephemeral":
        return this.#notify(this.#options.onEphemeral, action.event);
      case "state":
        return this.#show(action);
      case "gap":
        return this.#notify(this.#options.onGap, action);
      case "settled":
        return this.#notify(this.#options.onSettled, action);
      case "problem":
        return this.#notify(this.#options.onProblem, action);
      case "close":
        return this.#close(action.code, action.reason);
      case "reconnect":
        return this.#reconnect(action.delay, action.new_ticket === true);
      case "connect_anew":
        this.#movesBack = action.reason === BACK_TO_SOCKET;
        this.#second = this.#open(true);
        return undefined;
      case "retire":
        return this.#retire();
      case "stop":
        return this.#dropLinks();
    }
  }

  /** @param {Cursor} cursor */
  #save(cursor) {
    try {
      this.#options.storage?.setItem(this.#storageKey, JSON.stringify(cursor));
    } catch (error) {
      // A full storage costs repeats after a reload, not events.
      this.#report(error);
    }
  }

  /** @param {Extract<Action, {do: "state"}>} action */
  #show({ state, reason, delay, resume }) {
    /** @type {StateChange} */
    const change = { state };
    if (reason) change.reason = reason;
    if (resume) change.resume = resume;
    if (delay !== undefined) change.retryAt = new Date(Date.now() + delay * 1000);
    this.#notify(this.#options.onState, change);
  }

  /** @param {number} code @param {string} reason */
  #close(code, reason) {
    this.#link?.finish(code, reason);
    this.#lost(code);
  }

  /** @param {number} delay @param {boolean} newTicket */
  #reconnect(delay, newTicket) {
    if (newTicket && !this.#dialer.canRenew(this.#dialer.choice.pick(now(), false))) {
      this.#perform(this.#machine.stop(CloseCode.UNAUTHORIZED, "the credential was refused"));
      return;
    }
    this.#connectTimer = setTimeout(() => this.#connect(), delay * 1000);
  }

  /** The browser is online again: do not wait any longer. */
  #connectNow() {
    if (this.#connectTimer === undefined) return;
    clearTimeout(this.#connectTimer);
    this.#connect();
  }

  /** Leave the first socket; the second has taken its place already. */
  #retire() {
    this.#retired?.post({ t: "bye" });
    this.#retired?.finish(1000, "moved");
    this.#retired = null;
  }

  #dropLinks() {
    for (const link of [this.#link, this.#second]) link?.finish(1000, "stopped");
    this.#link = null;
    this.#second = null;
    clearTimeout(this.#connectTimer);
    clearTimeout(this.#tickTimer);
    clearTimeout(this.#socketTimer);
    this.#connectTimer = undefined;
    this.#tickAt = Infinity;
    globalThis.removeEventListener?.("online", this.#online);
  }

  // -- sockets

  get #machine() {
    if (this.#device === null) throw new Error("not started");
    return this.#device;
  }

  #connect() {
    this.#connectTimer = undefined;
    this.#perform(this.#machine.connecting());
    this.#link = this.#open(false);
  }

  /**
   * @param {boolean} moving whether another link serves meanwhile
   * @param {import("./dialer.js").Kind} [kind]
   */
  #open(moving, kind = this.#dialer.choice.pick(now(), moving)) {
    const link = this.#dialer.link(kind, moving, {
      onOpen: (ticket) => this.#opened(link, ticket),
      onMessage: (message) => this.#onMessage(link, message),
      onEnd: (code) => this.#ended(link, code),
    });
    void this.#dial(link);
    return link;
  }

  /**
   * Fetch a credential and open the link. What fails here is tried again, like a cut.
   * @param {AnyLink} link
   */
  async #dial(link) {
    try {
      const credential = await this.#dialer.credential(link.kind);
      if (credential !== null) link.open(credential);
      else if (link === this.#link || link === this.#second) {
        this.#perform(this.#machine.stop(CloseCode.UNAUTHORIZED, "no ticket"));
      }
    } catch (error) {
      const code = link.tried ? link.kind : "ticket";
      this.#notify(this.#options.onProblem, { code, message: String(error), temporary: true });
      link.end(1006);
    }
  }

  /** @param {AnyLink} link @param {string | undefined} ticket */
  #opened(link, ticket) {
    for (const action of this.#machine.opened(now(), ticket)) {
      if (action.do === "send") link.post(action.frame);
    }
    this.#scheduleTick();
  }

  /** @param {AnyLink} link @param {unknown} message */
  #onMessage(link, message) {
    const frames = this.#parse(link, message);
    if (frames.some((frame) => frame.t === "welcome")) this.#onWelcome(link);
    if (link === this.#second && frames.some((frame) => frame.t === "welcome")) {
      this.#retired = this.#link;
      this.#link = link;
      this.#second = null;
    }
    for (const frame of frames) {
      // A frame before this one may have ended the socket.
      if (link === this.#link) this.#perform(this.#machine.receive(frame, now()));
    }
  }

  /** @param {AnyLink} link @param {unknown} message */
  #parse(link, message) {
    try {
      return parse(message);
    } catch (error) {
      if (!(error instanceof GarbledError)) throw error;
      if (link === this.#link) this.#perform(this.#machine.garbled());
      return [];
    }
  }

  /** @param {AnyLink} link @param {number} code */
  #ended(link, code) {
    if (link.tried && !this.#welcomed.has(link)) {
      this.#dialer.choice.failed(link.kind, code, now());
    }
    if (link === this.#second) {
      this.#second = null;
      if (link.kind === "socket" && this.#link?.kind === "sse") return this.#stayWithStreams(code);
      this.#perform(this.#machine.moveFailed(code));
    } else if (link === this.#link) {
      this.#lost(code);
    }
  }

  /**
   * A socket did not get through; when the move was asked for, a stream does it.
   * @param {number} code
   */
  #stayWithStreams(code) {
    this.#scheduleSocket();
    if (this.#movesBack) this.#perform(this.#machine.moveFailed(code));
    else this.#second = this.#open(true, "sse");
  }

  /** @param {AnyLink} link */
  #onWelcome(link) {
    this.#welcomed.add(link);
    this.#dialer.choice.welcomed(link.kind);
    if (this.#dialer.choice.isSecondBest(link.kind)) this.#scheduleSocket();
  }

  /** Try a socket again after a while, if streams do its work by then. */
  #scheduleSocket() {
    clearTimeout(this.#socketTimer);
    this.#socketTimer = setTimeout(() => this.#moveBack(), RETRY_SECONDS * 1000);
  }

  /** Move to a socket as if the server had asked: connect first, then leave. */
  #moveBack() {
    if (this.#link?.kind !== "sse") return;
    this.#perform(this.#machine.receive({ t: "goaway", reason: BACK_TO_SOCKET }, now()));
  }

  /**
   * Go on with the second socket if there is one, or as the machine says.
   * @param {number} code
   */
  #lost(code) {
    this.#link = this.#second;
    this.#second = null;
    this.#perform(this.#machine.closed(code, now(), Math.random()));
  }

  // -- time

  #scheduleTick() {
    const at = this.#device?.nextTick() ?? null;
    // Too early does no harm: it is scheduled again then.
    if (at === null || this.#tickAt <= at) return;
    clearTimeout(this.#tickTimer);
    this.#tickAt = at;
    this.#tickTimer = setTimeout(() => this.#tick(at), Math.max(0, (at - now()) * 1000));
  }

  /** @param {number} at */
  #tick(at) {
    this.#tickAt = Infinity;
    // Timers may fire a little before their time.
    this.#perform(this.#machine.tick(Math.max(at, now())));
  }

  // -- the program's functions

  /** @param {EventFrame} event */
  async #handle(event) {
    // Not in the stack of the frame that brought it: actions are carried out first.
    await null;
    const actions = await this.#runHandler(event);
    this.#perform(actions);
    for (const wake of this.#waiters.splice(0)) wake();
  }

  /** @param {EventFrame} event */
  async #runHandler(event) {
    try {
      await this.#options.onEvent(event);
    } catch (error) {
      const final = error instanceof Error && "final" in error && error.final === true;
      return this.#machine.refused(String(error), now(), final);
    }
    return this.#machine.handled(now());
  }

  /** Resolves when the running handler has ended, or after the grace. */
  #handlerEnd() {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, HANDLER_GRACE_SECONDS * 1000);
      this.#waiters.push(() => {
        clearTimeout(timer);
        resolve(undefined);
      });
    });
  }

  /**
   * Tell the program something; what it throws must not stop the client.
   * @template Given
   * @param {((given: Given) => unknown) | undefined} tell @param {Given} given
   */
  #notify(tell, given) {
    try {
      const result = tell?.(given);
      if (result instanceof Promise) result.catch((error) => this.#report(error));
    } catch (error) {
      this.#report(error);
    }
  }

  /** @param {unknown} error */
  #report(error) {
    console.error("a function given to the event client failed:", error);
  }
}

function now() {
  return performance.now() / 1000;
}
