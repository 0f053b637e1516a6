// @ts-check
/**
 * What a device says first on each connection. The twin of
 * service/core/device_greeter.py.
 *
 * @typedef {import("./frames.js").Cursor} Cursor
 */
import { PROTOCOL_VERSION } from "./frames.js";
import { short } from "./policy.js";

/** Makes the `hello` of every connection of one device's machine. */
export class Greeter {
  #device;
  #instance;
  #started;
  #start;
  #window;
  #count = 0;
  /** @type {string | undefined} of the last welcome */
  conn = undefined;

  /**
   * @param {string} device
   * @param {{instance?: string, started?: number, start?: string | number, window?: number}} options
   *   `instance`: unlike that of any other machine; without it the server is not told
   *   which connection is the newer one. `started`: when this machine was made, in ms
   *   since 1970 by the device's clock
   */
  constructor(device, { instance, started, start, window }) {
    this.#device = device;
    this.#instance = instance;
    this.#started = started;
    this.#start = start;
    this.#window = window;
  }

  /**
   * The `hello` of one more connection.
   * @param {Cursor | null} cursor @param {string | undefined} ticket
   */
  hello(cursor, ticket) {
    this.#count += 1;
    const said = {
      t: "hello",
      v: PROTOCOL_VERSION,
      device: this.#device,
      instance: this.#instance,
      n: this.#instance === undefined ? undefined : this.#count,
      started: this.#started,
      cursor: cursor === null ? undefined : short(cursor),
      start: cursor === null ? this.#start : undefined,
      replaces: this.conn,
      window: this.#window,
      ticket,
    };
    const given = Object.entries(said).filter(([, value]) => value !== undefined);
    return /** @type {Record<string, unknown>} */ (Object.fromEntries(given));
  }
}
