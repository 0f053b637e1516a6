// @ts-check
/**
 * Which dead letters are chosen: some by hand, or all that the filter finds.
 *
 * @typedef {{event_id: string, user_id: string, state: string}} Letter
 */
export class LetterSelection {
  /** @type {Map<string, Letter>} */
  #chosen = new Map();
  all = false;

  /** @param {() => void} changed */
  constructor(changed) {
    this.changed = changed;
  }

  get size() {
    return this.#chosen.size;
  }

  get names() {
    return [...this.#chosen.values()].map(({ event_id: id, user_id: user }) => ({ event_id: id, user }));
  }

  /** @param {Letter} letter */
  has(letter) {
    return this.#chosen.has(keyOf(letter));
  }

  /** @param {Letter[]} letters @param {boolean} wanted */
  set(letters, wanted) {
    this.all = false;
    for (const letter of letters) {
      if (!wanted) this.#chosen.delete(keyOf(letter));
      else if (letter.state === "open") this.#chosen.set(keyOf(letter), letter);
    }
    this.changed();
  }

  chooseAll() {
    this.#chosen.clear();
    this.all = true;
    this.changed();
  }

  clear() {
    this.#chosen.clear();
    this.all = false;
    this.changed();
  }
}

/** @param {Letter} letter */
export function keyOf({ user_id: user, event_id: id }) {
  return JSON.stringify([user, id]);
}
