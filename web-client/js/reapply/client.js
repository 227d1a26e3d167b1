// @ts-check
// Who this page is in a room: a client, with its key, what earlier pages have left in its queue, and the lock that makes both this page's own.

import { hasLocks, hold } from "./locks.js";
import { Queue } from "./queue.js";
import { store, warn } from "./store.js";

/** Where a tab's key is kept. A page in a frame shares the tab's storage with the page around it, and must not take that page's key. */
const ITEM = globalThis.top === globalThis.self ? "reapply.key" : `reapply.key ${globalThis.location?.pathname}`;

/** How long a reloaded page waits for the page before it to let go of the key, in milliseconds. Only a duplicated tab waits in vain. */
const LOCK_WAIT_MS = 500;

/** @typedef {import("./locks.js").Lock} Lock */
/** @typedef {import("./store.js").Store} Store */

export class Client {
  key;
  queue;
  /** @type {Lock | undefined} */
  #lock;
  #letGo;
  #isLost = false;
  #onlost = () => {};

  /**
   * @param {string} key
   * @param {Queue} queue
   * @param {() => void} [letGo] what else is to be done when the client is let go
   */
  constructor(key, queue, letGo = () => {}) {
    this.key = key;
    this.queue = queue;
    this.#letGo = letGo;
  }

  /** Whether no other page of this browser can be this client now. */
  get isOwn() {
    return this.#lock?.isHeld ?? false;
  }

  /** Called when another page has taken the client over, at once where it has already. @param {() => void} call */
  set onlost(call) {
    this.#onlost = call;
    if (this.#isLost) call();
  }

  /**
   * Makes the client this page's own; `false` when another page's is not to be touched, or has become another's meanwhile.
   * @param {string} room
   * @param {LockOptions} options
   */
  async own(room, options) {
    if (!hasLocks) return true;
    this.#lock = await hold(lockOf(this.key, room), options, () => this.#lose());
    if (!this.#lock) return false;
    await this.queue.open();
    return this.#lock.isHeld;
  }

  /** Leaves the client to others. */
  letGo() {
    this.#letGo();
    this.queue.disown();
    this.#lock?.release();
  }

  /** Numbers that this page gives out from here on would be the other page's as well. */
  #lose() {
    this.#isLost = true;
    this.queue.disown();
    this.#onlost();
  }
}

/** Who has the tab's own client, by room: a room takes each key once. @type {Map<string, symbol>} */
const owners = new Map();

/** When the last one who has asked for the tab's own client has it, by room. @type {Map<string, Promise<unknown>>} */
const turns = new Map();

/**
 * The client that this page is in a room. Whoever comes with a key is that client from now on. Others are the tab's, and the second of one page at a time
 * is a new one. `leave` gives up the tab's client at once, for whoever asks next, even before it is there.
 * @param {string} room the room's URL
 * @param {string} [given] the key that the application has chosen
 * @returns {{ client: Promise<Client>, leave: () => void }}
 */
export function becomeClient(room, given) {
  if (given !== undefined) return { client: givenClient(room, given), leave: () => {} };
  if (owners.has(room)) return { client: newClient(room), leave: () => {} };
  const owner = Symbol();
  owners.set(room, owner);
  const leave = () => void (owners.get(room) === owner && owners.delete(room));
  const last = turns.get(room) ?? Promise.resolve();
  const client = last.then(async () => (await clientOfThisTab(room, leave)) ?? newClient(room));
  turns.set(room, client.catch(() => {}));
  return { client, leave };
}

/** @param {string} room @param {string} key */
async function givenClient(room, key) {
  return takeClient(room, key, new Queue(await usableStore(), { room, key, given: true }));
}

/**
 * The tab's own client in a room; nothing where it cannot be known which of its numbers are used up: one that is used again would name two
 * transitions, and the room take one of them for decided.
 * @param {string} room
 * @param {() => void} leave
 */
async function clientOfThisTab(room, leave) {
  const store = await usableStore();
  if (!hasLocks || store) {
    const key = await keyOfThisTab(store, room);
    const client = await takeClient(room, key, new Queue(store, { room, key, given: false }), leave);
    if (!hasLocks || client.queue.isRead) return client;
    client.letGo();
  }
  leave();
  return undefined;
}

/**
 * A client for this room object alone. While it lives, no tab takes its key for that of a tab that is gone.
 * @param {string} room
 */
async function newClient(room) {
  const key = drawKey();
  const lock = hasLocks ? await hold(lockOf(key), {}) : undefined;
  // Where the store does not answer now, it takes up later what this client has.
  const queue = new Queue(hasLocks ? store : undefined, { room, key, given: false }, true);
  return takeClient(room, key, queue, () => lock?.release());
}

/**
 * Where another page delivers for this client, it stops.
 * @param {string} room
 * @param {string} key
 * @param {Queue} queue
 * @param {() => void} [letGo]
 */
async function takeClient(room, key, queue, letGo) {
  const client = new Client(key, queue, letGo);
  if (!(await client.own(room, { steal: true }))) queue.disown();
  return client;
}

/**
 * Another client that has left something in a room, and that no page is now.
 * @param {string} room the room's URL
 * @param {Set<string>} except keys
 * @returns {Promise<Client | undefined>}
 */
export async function adoptOrphan(room, except) {
  const store = await usableStore();
  for (const { key, given } of await orphans(store, room)) {
    if (except.has(key)) continue;
    const client = new Client(key, new Queue(store, { room, key, given }));
    if (await client.own(room, { ifAvailable: true })) return client;
  }
  return undefined;
}

/** The store, where it can be used now without two tabs being one client. @returns {Promise<Store | undefined>} */
async function usableStore() {
  if (!hasLocks) return warn("this page was not loaded over https, so there are no locks to say which tab's they are");
  return (await store.open()) ? store : undefined;
}

/** @type {Promise<string> | undefined} */
let ofThisTab;

/**
 * The key of this tab. Two tabs never share one, though a browser that duplicates a tab copies its storage. A tab that has none takes over that of
 * a tab that is gone, with what that one has left in this room.
 * @param {Store | undefined} store
 * @param {string} room
 */
function keyOfThisTab(store, room) {
  return (ofThisTab ??= takeKey(store, room));
}

/** @param {Store | undefined} store @param {string} room */
async function takeKey(store, room) {
  const kept = read();
  if (kept && (await holdKey(kept, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }))) return kept;
  for (const { key, given } of await orphans(store, room)) {
    if (!given && (await holdKey(key, { ifAvailable: true }))) return write(key);
  }
  const key = drawKey();
  await holdKey(key, {});
  return write(key);
}

/** @param {Store | undefined} store @param {string} room */
async function orphans(store, room) {
  try {
    return (await store?.clientsWithEntries(room)) ?? [];
  } catch (error) {
    return warn(error) ?? [];
  }
}

/**
 * Holds a key as this tab's for as long as this page lives; `false` when another page holds it.
 * @param {string} key
 * @param {LockOptions} options
 */
async function holdKey(key, options) {
  // Without locks pages take the risk.
  return !hasLocks || (await hold(lockOf(key), options)) !== undefined;
}

/** Other pages can read a lock's name: it gives away too little of the key to guess the rest. @param {string} key @param {string} [room] */
function lockOf(key, room) {
  return ["reapply.key", key.slice(0, 8), room].filter(Boolean).join(" ");
}

/** Draws a new key: 32 hexadecimal digits. */
function drawKey() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
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
  return key;
}
