// @ts-check
import assert from "node:assert/strict";
import { test } from "node:test";

import "./globals.js";
import { tabDevice } from "../../../service/web/client/tab.js";

/** The Web Locks of one browser, as far as exclusive locks with a signal go. */
class FakeLocks {
  /** @type {Set<string>} */
  held = new Set();

  /** @param {string} name @param {{signal: AbortSignal}} options @param {() => unknown} callback */
  request(name, { signal }, callback) {
    if (!this.held.has(name)) {
      this.held.add(name);
      return Promise.resolve(callback());
    }
    return new Promise((_, reject) => {
      signal.addEventListener("abort", () => reject(signal.reason));
    });
  }
}

/** @param {[string, string][]} [entries] */
function fakeStorage(entries = []) {
  const kept = new Map(entries);
  return {
    kept,
    getItem: (/** @type {string} */ key) => kept.get(key) ?? null,
    setItem: (/** @type {string} */ key, /** @type {string} */ value) => void kept.set(key, value),
  };
}

/** @param {FakeLocks} locks */
const asLocks = (locks) => /** @type {any} */ (locks);

test("a reloaded tab keeps its name", async () => {
  const storage = fakeStorage();
  const before = await tabDevice({ storage, locks: asLocks(new FakeLocks()) });
  const after = await tabDevice({ storage, locks: asLocks(new FakeLocks()) });

  assert.equal(after, before);
  assert.match(before, /^[0-9a-f]{32}$/);
});

test("a duplicated tab gets a name of its own, and the first keeps its", async () => {
  const locks = asLocks(new FakeLocks());
  const first = fakeStorage();
  const one = await tabDevice({ storage: first, locks });
  const copy = fakeStorage([...first.kept]);
  const other = await tabDevice({ storage: copy, locks });

  assert.notEqual(other, one);
  assert.deepEqual([...first.kept.values()], [one]);
  assert.deepEqual([...copy.kept.values()], [other]);
});

test("without locks the stored name is taken", async () => {
  const storage = fakeStorage([["events.device", "kept"]]);

  assert.equal(await tabDevice({ storage, locks: null }), "kept");
});

test("without a storage that works every page has a new name", async () => {
  const forbidden = {
    getItem: () => {
      throw new Error("forbidden");
    },
    setItem: () => {
      throw new Error("forbidden");
    },
  };
  const one = await tabDevice({ storage: forbidden, locks: null });
  const other = await tabDevice({ storage: null, locks: null });

  assert.notEqual(other, one);
});
