// @ts-check
// A client's key: 32 hexadecimal digits, drawn once for each tab and kept with it, so that a reload is still the same participant.

/** Where it is kept. A page in a frame shares the tab's storage with the page around it, and must not take that page's key. */
const ITEM = globalThis.top === globalThis.self ? "reapply.key" : `reapply.key ${globalThis.location?.pathname}`;

/** How long a reloaded page waits for the page before it to let go of the key, in milliseconds. Only a duplicated tab waits in vain. */
const LOCK_WAIT_MS = 500;

/** Draws a new key. */
export function drawKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @type {Promise<string> | undefined} */
let ofThisTab;

/** The key of this tab. Two tabs never share one, though a browser that duplicates a tab copies its storage. */
export function keyOfThisTab() {
  return (ofThisTab ??= takeKey());
}

async function takeKey() {
  const kept = read();
  if (kept && (await hold(kept))) return kept;
  const key = drawKey();
  write(key);
  await hold(key);
  return key;
}

/**
 * Holds the key's lock as long as this page lives; `false` when another page holds it.
 * @param {string} key
 * @returns {Promise<boolean>}
 */
function hold(key) {
  // Pages of plain http have no locks; they take the risk.
  const locks = globalThis.navigator?.locks;
  if (!locks) return Promise.resolve(true);
  // Other pages can read the lock's name: it gives away too little of the key to guess the rest.
  const name = `reapply.key ${key.slice(0, 8)}`;
  return new Promise((resolve) => {
    const held = () => {
      resolve(true);
      return new Promise(() => {});
    };
    locks.request(name, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }, held).catch(() => resolve(false));
  });
}

function read() {
  try {
    const key = sessionStorage.getItem(ITEM);
    return key && /^[0-9a-f]{32}$/.test(key) ? key : undefined;
  } catch {
    // No storage, or not for this page: the key lives as long as the page.
    return undefined;
  }
}

/** @param {string} key */
function write(key) {
  try {
    sessionStorage.setItem(ITEM, key);
  } catch {
    // As above.
  }
}
