// @ts-check
/**
 * The device's side of the session protocol, as a machine without input or output.
 *
 * The owner of a `Device` passes in what happens (a socket opened, a frame came, the
 * handler returned, time passed) and carries out the actions that come back, in their
 * order. `now` is a monotonic time in seconds, `u` a random number in [0, 1). Nothing
 * here waits, logs, or knows a socket. The twin of service/core/device.py; both run
 * tests/vectors/*.json. The rules are those of docs/protocol.md.
 *
 * @typedef {import("./frames.js").Cursor} Cursor
 * @typedef {import("./frames.js").EventFrame} EventFrame
 * @typedef {import("./frames.js").ServerFrame} ServerFrame
 * @typedef {import("./policy.js").Action} Action
 * @typedef {import("./policy.js").State} State
 * @typedef {import("./policy.js").AfterClose} AfterClose
 */
import { Acks } from "./acks.js";
import { CloseCode } from "./frames.js";
import { Greeter } from "./greeter.js";
import { afterClose, plain, reconnectDelay } from "./policy.js";
import { Progress } from "./progress.js";
import * as ranges from "./ranges.js";

const HEARTBEAT_GRACE_SECONDS = 10;
const SLOW_ATTEMPT = 4; // 4029: the backoff goes on from at least this attempt
const NORMAL_CLOSURE = 1000;
/** @type {readonly number[]} */
const PROMPT_CODES = [CloseCode.GOAWAY, CloseCode.UNAUTHORIZED];

/**
 * One device's place in its stream, across connections.
 *
 * No frame names a seq that the current session was not sent; the handler has at most
 * one event at a time; a cursor is saved before the ack that it stands for. `instance`
 * is random for each Device, `started` is when it was made (ms since 1970): by them and
 * a count of its connections, the server tells an older connection that comes late from
 * the one that lives.
 */
export class Device {
  /** @type {State} */
  state = "waiting";
  #greeter;
  #progress;
  /** @type {string} the cursor as last saved; compared, never parsed */
  #saved;
  #paused = false;
  // The current connection. `received` is 0 until its welcome: no frame may name a
  // seq above it, or the server would call that an ack ahead.
  #open = false;
  #moving = false;
  #received = 0;
  #acks = new Acks();
  /** @type {number | null} */
  #wipAt = null;
  #heardAt = 0;
  #heartbeat = 25;
  #ackWait = 10;
  #attempt = 0;
  #problem = "";

  /**
   * @param {string} device
   * @param {{instance?: string, started?: number, cursor?: Cursor | null,
   *   start?: string | number, window?: number}} [options]
   */
  constructor(device, { cursor = null, ...said } = {}) {
    this.#greeter = new Greeter(device, said);
    this.#progress = new Progress(cursor);
    this.#saved = JSON.stringify(cursor);
  }

  /** What to continue from; null until a first welcome. */
  get cursor() {
    return this.#progress.cursor;
  }

  /** Whether the handler has an event. */
  get handlerBusy() {
    return this.#progress.handlerBusy;
  }

  // -- the connection

  /**
   * Note that a socket is being opened (not called for a second one).
   * @returns {Action[]}
   */
  connecting() {
    return this.#enter({ do: "state", state: "connecting" });
  }

  /**
   * Greet on a socket that has just opened; it may be the second one.
   * @param {number} now @param {string} [ticket]
   * @returns {Action[]}
   */
  opened(now, ticket) {
    if (this.state === "stopped") return [];
    if (!this.#welcomed) {
      this.#open = true;
      this.#heardAt = now;
    }
    return [{ do: "send", frame: this.#greeter.hello(this.cursor, ticket) }];
  }

  /**
   * Decide what follows the end of the current socket, or of its opening.
   * @param {number} code @param {number} now @param {number} u
   * @returns {Action[]}
   */
  closed(code, now, u) {
    if (this.state === "stopped") return [];
    this.#loseSession();
    const policy = afterClose(code);
    if (policy === "stop") return this.stop(code, this.#why(code));
    if (this.#moving) {
      // The second socket is under way: it is the current one from now on.
      this.#moving = false;
      this.#open = true;
      this.#heardAt = now;
      return this.#enter({ do: "state", state: "connecting" });
    }
    return this.#wait(code, policy, u);
  }

  /**
   * Note that the second socket ended before its welcome; the first goes on.
   * @param {number} code
   * @returns {Action[]}
   */
  moveFailed(code) {
    this.#moving = false;
    return afterClose(code) === "stop" ? this.stop(code, this.#why(code)) : [];
  }

  /**
   * Give up: nothing will be sent or received any more.
   * @param {number} code @param {string} reason
   * @returns {Action[]}
   */
  stop(code, reason) {
    this.#loseSession();
    this.#moving = false;
    this.#paused = true;
    const changed = this.#enter({ do: "state", state: "stopped", reason });
    return [...changed, { do: "stop", code, reason }];
  }

  /** Give the handler nothing more; what it has, it may finish. */
  pause() {
    this.#paused = true;
  }

  /**
   * End on purpose: what is owed is acked, then `bye`.
   * @returns {Action[]}
   */
  leave() {
    /** @type {Action[]} */
    const actions = this.#welcomed
      ? [...this.#takeAcks(), { do: "send", frame: { t: "bye" } }]
      : [];
    this.#loseSession();
    this.#moving = false;
    this.#paused = true;
    actions.push(...this.#enter({ do: "state", state: "stopped", reason: "left" }));
    return [...actions, { do: "close", code: NORMAL_CLOSURE, reason: "left" }];
  }

  /**
   * Ask that a run be cancelled; nothing when there is no session.
   * @param {string} run
   * @returns {Action[]}
   */
  cancel(run) {
    return this.#welcomed ? [{ do: "send", frame: { t: "cancel", run } }] : [];
  }

  /**
   * Renew the session's credential; nothing when there is no session.
   * @param {string} ticket
   * @returns {Action[]}
   */
  renew(ticket) {
    return this.#welcomed ? [{ do: "send", frame: { t: "auth", ticket } }] : [];
  }

  // -- frames

  /**
   * Take one frame from the current socket.
   * @param {ServerFrame} frame @param {number} now
   * @returns {Action[]}
   */
  receive(frame, now) {
    if (!this.#open) return []; // what was on its way when the machine closed it
    this.#heardAt = now;
    if (frame.t === "welcome") return this.#onWelcome(frame, now);
    if (frame.t === "err") return this.#onErr(frame);
    if (frame.t === "ping") return [{ do: "send", frame: { t: "pong", at: frame.at ?? null } }];
    return this.#welcomed ? this.#onSessionFrame(frame, now) : [];
  }

  /**
   * Note a message that could not be parsed: this session cannot go on.
   * @returns {Action[]}
   */
  garbled() {
    return this.#open ? this.#close("garbled message") : [];
  }

  /** @param {ServerFrame} frame @param {number} now @returns {Action[]} */
  #onSessionFrame(frame, now) {
    switch (frame.t) {
      case "ev":
        return this.#onEvent(frame, now);
      case "eph":
        return [{ do: "ephemeral", event: frame }];
      case "live":
        return this.#onLive();
      case "gap":
        return this.#onGap(frame, now);
      case "settled":
        return this.#onSettled(frame, now);
      case "goaway":
        return this.#onGoaway(frame);
      default:
        return []; // pong: a sign of life, like any frame
    }
  }

  /** @param {import("./frames.js").Welcome} frame @param {number} now @returns {Action[]} */
  #onWelcome(frame, now) {
    /** @type {Action[]} */
    const actions = this.#moving ? [{ do: "retire" }] : [];
    this.#moving = false;
    this.#greeter.conn = frame.conn;
    this.#heartbeat = frame.heartbeat_s ?? 25;
    this.#ackWait = frame.ack_wait_s ?? 10;
    this.#acks.clear();
    this.#wipAt = null;
    if (frame.resume === "new" || frame.resume === "reset") {
      this.#progress.startOver(frame.epoch, frame.from - 1);
    } else if (frame.epoch !== this.#progress.epoch) {
      return [...actions, ...this.#close("another epoch without a reset")];
    }
    // For `ok` and `gap` both ends agree, or the hole shows up as a jump.
    this.#received = Math.min(frame.from - 1, this.#progress.floor);
    const changed = this.#enter({ do: "state", state: "replaying", resume: frame.resume });
    return [...actions, ...changed, ...this.#proceed(now)];
  }

  /** @param {EventFrame} event @param {number} now @returns {Action[]} */
  #onEvent(event, now) {
    const { seq } = event;
    if (seq > this.#progress.nextAfter(this.#received)) {
      return this.#close(`unexplained jump to ${seq}`);
    }
    this.#received = Math.max(this.#received, seq);
    if (this.#progress.pending(seq)) return [{ do: "send", frame: { t: "wip", seq } }];
    if (this.#progress.done(seq)) this.#owe(seq, now);
    else this.#progress.enqueue(event);
    return this.#proceed(now);
  }

  /** @returns {Action[]} */
  #onLive() {
    this.#attempt = 0;
    this.#problem = "";
    return this.#enter({ do: "state", state: "live" });
  }

  /** @param {import("./frames.js").Gap} frame @param {number} now @returns {Action[]} */
  #onGap({ from, to, reason = "" }, now) {
    this.#progress.declare(from, to);
    this.#received = Math.max(this.#received, to);
    return [{ do: "gap", first: from, last: to, reason }, ...this.#proceed(now)];
  }

  /** @param {import("./frames.js").Settled} frame @param {number} now @returns {Action[]} */
  #onSettled(frame, now) {
    for (const [first, last] of ranges.of(frame.seqs)) {
      if (frame.outcome === "confirmed") this.#progress.declareRefused(first, last);
      else this.#giveUp(first, last);
    }
    if (frame.outcome === "confirmed") return this.#proceed(now);
    return [{ do: "settled", seqs: frame.seqs, outcome: frame.outcome }, ...this.#proceed(now)];
  }

  /**
   * Count a range as done that nobody will deliver any more.
   * @param {number} first @param {number} last
   */
  #giveUp(first, last) {
    this.#progress.dropQueued(first, last);
    if (first <= this.#progress.nextAfter(this.#received)) {
      this.#received = Math.max(this.#received, last);
    }
    this.#progress.declare(first, last);
  }

  /** @param {import("./frames.js").Goaway} frame @returns {Action[]} */
  #onGoaway({ within_ms = 0, reason = "" }) {
    if (this.#moving) return [];
    this.#moving = true;
    return [{ do: "connect_anew", within: within_ms / 1000, reason }];
  }

  /** @param {import("./frames.js").Err} frame @returns {Action[]} */
  #onErr({ code, message = "", temporary = false }) {
    if (!temporary) this.#problem = `${code}: ${message}`;
    return [{ do: "problem", code, message, temporary }];
  }

  // -- the handler

  /**
   * Note that the handler returned.
   * @param {number} now
   * @returns {Action[]}
   */
  handled(now) {
    const seq = this.#progress.endHandler();
    // What was declared meanwhile needs no ack, and after a reconnect this session may
    // never have been sent it.
    if (seq !== null && !this.#progress.done(seq)) {
      this.#progress.complete(seq, seq);
      this.#owe(seq, now);
    }
    return this.#proceed(now);
  }

  /**
   * Note that the handler raised.
   * @param {string} reason @param {number} now @param {boolean} [final]
   * @returns {Action[]}
   */
  refused(reason, now, final = false) {
    const seq = this.#progress.endHandler();
    // Declared meanwhile: nobody asks any more.
    if (seq === null || this.#progress.done(seq)) return this.#proceed(now);
    this.#progress.refuse(seq);
    // Not sent in this session yet: it will come.
    if (seq > this.#received) return this.#proceed(now);
    const nack = { t: "nack", seq, reason: plain(reason) };
    const frame = final ? { ...nack, final } : nack;
    return [{ do: "send", frame }, ...this.#proceed(now)];
  }

  // -- time

  /** When `tick` is due at the latest; null when nothing is waited for. */
  nextTick() {
    const times = [this.#wipAt, this.#acks.dueAt, this.#open ? this.#silentAt : null];
    const due = times.filter((at) => at !== null);
    return due.length === 0 ? null : Math.min(.../** @type {number[]} */ (due));
  }

  /**
   * Do what has become due.
   * @param {number} now
   * @returns {Action[]}
   */
  tick(now) {
    if (this.#open && now >= this.#silentAt) return this.#close("heartbeat lost");
    /** @type {Action[]} */
    let actions = [];
    if (this.#wipAt !== null && now >= this.#wipAt) {
      this.#wipAt = now + this.#ackWait / 3;
      actions = this.#wip();
    }
    return [...actions, ...this.#proceed(now)];
  }

  // -- inside

  get #welcomed() {
    return this.state === "replaying" || this.state === "live";
  }

  get #silentAt() {
    return this.#heardAt + this.#heartbeat + HEARTBEAT_GRACE_SECONDS;
  }

  /**
   * Set the state; the only place that does. Stopped is the last one.
   * @param {Extract<Action, {do: "state"}>} change
   * @returns {Action[]}
   */
  #enter(change) {
    if (this.state === "stopped") return [];
    if (change.state === this.state && change.resume === undefined) return [];
    this.state = change.state;
    return [change];
  }

  /** @param {number} code @param {AfterClose} policy @param {number} u @returns {Action[]} */
  #wait(code, policy, u) {
    if (policy === "reconnect slowly") this.#attempt = Math.max(this.#attempt, SLOW_ATTEMPT);
    // At once only from a session that was live: a server that accepts nobody must
    // not be asked without pause.
    const prompt = PROMPT_CODES.includes(code) && this.#attempt === 0;
    const delay = prompt ? 0 : reconnectDelay(this.#attempt, u);
    this.#attempt += 1;
    const reason = this.#why(code);
    const changed = this.#enter({ do: "state", state: "waiting", reason, delay });
    return [...changed, { do: "reconnect", delay, new_ticket: policy === "new ticket" }];
  }

  /** @param {string} reason @returns {Action[]} */
  #close(reason) {
    this.#loseSession();
    this.#problem = reason;
    return [{ do: "close", code: NORMAL_CLOSURE, reason }];
  }

  /** @param {number} code */
  #why(code) {
    const problem = this.#problem;
    this.#problem = "";
    return problem || `closed with ${code}`;
  }

  #loseSession() {
    this.#open = false;
    this.#received = 0;
    this.#acks.clear();
    this.#wipAt = null;
  }

  /**
   * Remember to ack; what this session was not sent is acked when it comes.
   * @param {number} seq @param {number} now
   */
  #owe(seq, now) {
    if (seq <= this.#received) this.#acks.add(seq, now);
  }

  /**
   * Do what may follow any change, in this order: save, ack, hand over.
   * @param {number} now
   * @returns {Action[]}
   */
  #proceed(now) {
    /** @type {Action[]} */
    const actions = this.#save();
    if (this.#acks.due(now, this.#progress.idle)) actions.push(...this.#takeAcks());
    if (this.#progress.queue.size > 0 && !this.handlerBusy && !this.#paused) {
      actions.push({ do: "handle", event: this.#progress.takeNext() });
    }
    this.#watch(now);
    return actions;
  }

  /** @returns {Action[]} */
  #save() {
    const { cursor } = this;
    const text = JSON.stringify(cursor);
    if (cursor === null || text === this.#saved) return [];
    this.#saved = text;
    return [{ do: "save", cursor }];
  }

  #takeAcks() {
    return this.#acks.take(Math.min(this.#progress.floor, this.#received));
  }

  /**
   * Keep the wip clock running exactly while there is work in a session.
   * @param {number} now
   */
  #watch(now) {
    if (this.#progress.idle || !this.#open) this.#wipAt = null;
    else if (this.#wipAt === null) this.#wipAt = now + this.#ackWait / 3;
  }

  /** @returns {Action[]} */
  #wip() {
    const seq = this.#progress.oldestPending(this.#received);
    return seq === null ? [] : [{ do: "send", frame: { t: "wip", seq } }];
  }
}
