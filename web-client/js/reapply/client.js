// @ts-check
// Who this page is in a room. The driver's code decides; here are the locks and the storage that it asks for.

import { hasLocks, hold } from "./locks.js";
import { Arrival } from "./reapply_wasm.js";
import { store, warn } from "./store.js";

/** Where a tab's key is kept. A page in a frame shares the tab's storage with the page around it, and must not take that page's key. */
const ITEM = globalThis.top === globalThis.self ? "reapply.key" : `reapply.key ${globalThis.location?.pathname}`;

/** How long a reloaded page waits for the page before it to let go of the key, in milliseconds. Only a duplicated tab waits in vain. */
const LOCK_WAIT_MS = 500;

/** @typedef {import("./locks.js").Lock} Lock */

/** Who has the tab's own client, by room: a room takes each key once. @type {Map<string, Place>} */
const owners = new Map();

/** When the last one who has asked for the tab's own client has it, by room. @type {Map<string, Promise<void>>} */
const turns = new Map();

/** A place in the line of those in this page who would be the tab's client in a room. */
export class Place {
  #room;
  #given;
  #isNew;
  /** When those before have arrived, or have left. @type {Promise<void> | undefined} */
  #before;
  #done = () => {};
  #hasBegun = false;

  /**
   * @param {string} room the room's URL
   * @param {string} [given] the key that the application has chosen: whoever comes with it is that client from now on
   */
  constructor(room, given) {
    this.#room = room;
    // However a key is written, its client has one queue and one lock.
    this.#given = given?.toLowerCase();
    this.#isNew = owners.has(room);
    if (given !== undefined || this.#isNew) return;
    owners.set(room, this);
    this.#before = turns.get(room);
    turns.set(room, new Promise((resolve) => (this.#done = resolve)));
  }

  /** Finds out who this page is. */
  async arrive() {
    this.#hasBegun = true;
    await this.#before;
    try {
      const client = await arrived(Arrival.begin(this.#given, this.#isNew, hasLocks), this.#room);
      // What is the tab's own is left to others.
      if (client.key !== (await ofThisTab)) this.#forgo();
      return client;
    } finally {
      this.#done();
    }
  }

  /** Gives the tab's client up at once, for whoever asks next, even before it is there. */
  leave() {
    this.#forgo();
    if (!this.#hasBegun) this.#done();
  }

  #forgo() {
    if (owners.get(this.#room) === this) owners.delete(this.#room);
  }
}

/** A client that is this page's, and its locks. */
export class Client {
  /** How the page came to be the client. The driver takes it over. */
  arrival;
  key;
  isGiven;
  #locks;

  /** @param {Arrival} arrival @param {Locks} locks */
  constructor(arrival, locks) {
    this.arrival = arrival;
    this.key = arrival.key ?? "";
    this.isGiven = arrival.isGiven;
    this.#locks = locks;
  }

  /** Called when another page has taken the client over, at once where it has already. @param {() => void} call */
  set onlost(call) {
    this.#locks.onlost = call;
    if (this.#locks.isLost) call();
  }

  /** Leaves the client to others. */
  letGo() {
    this.#locks.release();
  }
}

/**
 * A client that has left something in a room and that no page is now, if there is one.
 * @param {Arrival} arrival
 * @param {string} room the room's URL
 */
export async function adopt(arrival, room) {
  const client = await arrived(arrival, room);
  return client.arrival.isAnybody ? client : undefined;
}

/** @param {Arrival} arrival @param {string} room */
async function arrived(arrival, room) {
  if (!hasLocks) warn("this page was not loaded over https, so there are no locks to say which tab's they are");
  const locks = new Locks();
  await converse(arrival, room, locks);
  return new Client(arrival, locks);
}

/** Answers what an arrival asks, until it asks no more. @param {Arrival} arrival @param {string} room @param {Locks} locks */
async function converse(arrival, room, locks) {
  for (let ask = arrival.ask; ask !== undefined; ask = arrival.ask) {
    const answer = /** @type {keyof typeof answers} */ (ask);
    arrival.answer(await answers[answer](arrival, room, locks));
  }
}

/** @type {Promise<string | undefined> | undefined} */
let ofThisTab;

/** @type {Record<string, (arrival: Arrival, room: string, locks: Locks) => unknown>} */
const answers = {
  openStore: () => store.open(),
  tabKey: (_, room) => (ofThisTab ??= keyOfThisTab(room)),
  keptKey: read,
  keepKey: ({ key }) => write(key ?? ""),
  lockKey: ({ key, patience }, _, locks) => locks.take(lockOf(key), patience, () => {}),
  lockRoom: ({ key, patience }, room, locks) => locks.take(lockOf(key, room), patience, () => locks.lose()),
  unlock: (_arrival, _room, locks) => locks.release(),
  orphans: (_, room) => store.clientsWithEntries(room).catch((error) => warn(error) ?? []),
  read: ({ key }, room) => store.find(room, key ?? "").catch(warn),
};

/** Finds the tab's key, and holds it for as long as this page lives. @param {string} room */
async function keyOfThisTab(room) {
  const arrival = Arrival.beginTab(hasLocks);
  await converse(arrival, room, new Locks());
  return arrival.key;
}

/** The locks that make a client a page's own. */
class Locks {
  isLost = false;
  onlost = () => {};
  /** @type {Lock[]} */
  #held = [];

  /**
   * Takes a lock, and says whether it is held.
   * @param {string} name
   * @param {string | undefined} patience
   * @param {() => void} onlost
   */
  async take(name, patience, onlost) {
    const lock = await hold(name, optionsOf(patience), onlost);
    if (lock) this.#held.push(lock);
    return lock !== undefined;
  }

  lose() {
    this.isLost = true;
    this.onlost();
  }

  release() {
    for (const lock of this.#held.splice(0)) lock.release();
  }
}

/** @param {string | undefined} patience @returns {LockOptions} */
function optionsOf(patience) {
  if (patience === "steal") return { steal: true };
  if (patience === "none") return { ifAvailable: true };
  return patience === "moment" ? { signal: AbortSignal.timeout(LOCK_WAIT_MS) } : {};
}

/** Other pages can read a lock's name: it gives away too little of the key to guess the rest. @param {string | undefined} key @param {string} [room] */
function lockOf(key = "", room) {
  return ["reapply.key", key.slice(0, 8), room].filter(Boolean).join(" ");
}

function read() {
  try {
    return sessionStorage.getItem(ITEM) ?? undefined;
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
