// @ts-check

/**
 * One message of a stream; without data it is a comment: a sign of life.
 * @typedef {{event: string, data: string | null}} SseMessage
 */

/**
 * Reads server-sent events from text that may be cut anywhere: between the two
 * characters of a line break, too. Fields that are not needed here are ignored.
 */
export class SseParser {
  #line = "";
  #afterReturn = false;
  #event = "";
  /** @type {string[]} */
  #data = [];

  /**
   * @param {string} text
   * @returns {SseMessage[]} what this text has made whole
   */
  push(text) {
    /** @type {SseMessage[]} */
    const messages = [];
    // A line feed after a carriage return belongs to the line that has ended.
    const rest = this.#afterReturn && text.startsWith("\n") ? text.slice(1) : text;
    if (text !== "") this.#afterReturn = text.endsWith("\r");
    const lines = rest.split(/\r\n|\r|\n/);
    const open = /** @type {string} */ (lines.pop());
    for (const line of lines) {
      const message = this.#take(this.#line + line);
      this.#line = "";
      if (message !== null) messages.push(message);
    }
    this.#line += open;
    return messages;
  }

  /**
   * @param {string} line
   * @returns {SseMessage | null}
   */
  #take(line) {
    if (line === "") return this.#whole();
    if (line.startsWith(":")) return { event: "", data: null };
    const [, name, value] = /** @type {RegExpMatchArray} */ (line.match(/^([^:]*):? ?(.*)$/su));
    if (name === "event") this.#event = value;
    else if (name === "data") this.#data.push(value);
    return null;
  }

  /** @returns {SseMessage | null} */
  #whole() {
    const data = this.#data;
    const event = this.#event || "message";
    this.#event = "";
    this.#data = [];
    return data.length === 0 ? null : { event, data: data.join("\n") };
  }
}
