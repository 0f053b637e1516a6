// @ts-check

const KEY = "events.device";
// A reloaded page may find its own lock still held for a moment; a duplicated tab
// finds it held for good. This is how long the difference is waited for.
const LOCK_MILLISECONDS = 250;

/**
 * The device name of this tab: the same after a reload, another one in a duplicated
 * tab (browsers copy sessionStorage into it), which a Web Lock tells apart.
 *
 * @param {{storage?: Pick<Storage, "getItem" | "setItem"> | null, locks?: LockManager | null}} [environment]
 * @returns {Promise<string>}
 */
export async function tabDevice({ storage = ownStorage(), locks = ownLocks() } = {}) {
  const kept = read(storage);
  if (kept !== null && (await hold(kept, locks))) return kept;
  const fresh = randomName();
  await hold(fresh, locks);
  write(storage, fresh);
  return fresh;
}

/**
 * Hold the name's lock as long as this page lives; false when another page has it.
 * Without Web Locks nobody can tell, and the name is taken as free.
 * @param {string} name @param {LockManager | null} locks
 * @returns {Promise<boolean>}
 */
function hold(name, locks) {
  if (locks === null) return Promise.resolve(true);
  return new Promise((resolve) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), LOCK_MILLISECONDS);
    const held = () => {
      clearTimeout(timer);
      resolve(true);
      return new Promise(() => undefined); // never ends: the page's end frees the lock
    };
    locks.request(`${KEY} ${name}`, { signal: patience.signal }, held).catch(() => resolve(false));
  });
}

/** @param {Pick<Storage, "getItem"> | null} storage */
function read(storage) {
  try {
    return storage?.getItem(KEY) ?? null;
  } catch {
    return null;
  }
}

/** @param {Pick<Storage, "setItem"> | null} storage @param {string} name */
function write(storage, name) {
  try {
    storage?.setItem(KEY, name);
  } catch {
    // Storage is full or forbidden: this tab has a new name after a reload.
  }
}

function ownStorage() {
  try {
    return globalThis.sessionStorage ?? null; // the access itself may be forbidden
  } catch {
    return null;
  }
}

function ownLocks() {
  return globalThis.navigator?.locks ?? null;
}

/** 128 random bits; `crypto.randomUUID` exists only in secure contexts. */
export function randomName() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
