// @ts-check
// What this browser keeps of clients: one database for all pages of an origin.

const DATABASE = "reapply";
const VERSION = 1;

/** Entries, by room, key and order. */
const ENTRIES = "entries";

/** What else is known of a client in a room, by room and key. */
const CLIENTS = "clients";

/** How long the database may take to answer. A page does not wait any longer, and does without. */
const ANSWER_WITHIN_MS = 3_000;

/** Clients that have left nothing are forgotten when they were not seen for this long. Rooms forget them much earlier. */
const FORGET_AFTER_MS = 180 * 24 * 60 * 60 * 1000;

/**
 * A transition without an outcome. `order` is its place among those of its client, and stays; `number` is what the room calls it, 0 until it is
 * taken on. `sent`: the room may have it.
 * @typedef {{ order: number, number: number, json: string, time: number, sent: boolean }} Entry
 * @typedef {{ room: string, key: string, reserved: number, given: boolean, seen: number }} ClientRecord
 * @typedef {{ record: ClientRecord | undefined, entries: Entry[] }} Found
 */

export class Store {
  #database;
  /** The transaction of this tick. @type {Transaction | undefined} */
  #open;

  /** @param {IDBDatabase} database */
  constructor(database) {
    this.#database = database;
    // A later version of this client, in another tab, needs it for itself.
    database.onversionchange = () => database.close();
  }

  /**
   * What a client has left in a room.
   * @param {string} room
   * @param {string} key
   * @returns {Promise<Found>}
   */
  async find(room, key) {
    const transaction = this.#database.transaction([CLIENTS, ENTRIES], "readonly");
    const record = transaction.objectStore(CLIENTS).get([room, key]);
    const entries = transaction.objectStore(ENTRIES).getAll(within(room, key));
    await ended(transaction);
    return { record: record.result, entries: entries.result };
  }

  /**
   * The clients that have left something in a room.
   * @param {string} room
   * @returns {Promise<ClientRecord[]>}
   */
  async clientsWithEntries(room) {
    const transaction = this.#database.transaction([CLIENTS, ENTRIES], "readonly");
    const records = transaction.objectStore(CLIENTS).getAll(within(room));
    const names = transaction.objectStore(ENTRIES).getAllKeys(within(room));
    await ended(transaction);
    const keys = new Set(names.result.map((name) => /** @type {string[]} */ (name)[1]));
    return records.result.filter(({ key }) => keys.has(key));
  }

  /**
   * Writes within this tick's transaction. Resolves when that is written, and rejects when it is not.
   * @param {(stores: { clients: IDBObjectStore, entries: IDBObjectStore }) => void} change
   * @returns {Promise<void>}
   */
  write(change) {
    try {
      this.#open ??= this.#begin();
      change(this.#open);
      return this.#open.done;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Forgets the clients that have left nothing, and were not seen for long. */
  forgetOld() {
    const transaction = this.#database.transaction([CLIENTS, ENTRIES], "readwrite");
    const clients = transaction.objectStore(CLIENTS);
    const cursor = clients.index("seen").openCursor(IDBKeyRange.upperBound(Date.now() - FORGET_AFTER_MS));
    cursor.onsuccess = () => {
      const found = cursor.result;
      if (!found) return;
      const { room, key } = found.value;
      const left = transaction.objectStore(ENTRIES).count(within(room, key));
      left.onsuccess = () => left.result === 0 && clients.delete([room, key]);
      found.continue();
    };
  }

  /** @returns {Transaction} */
  #begin() {
    // What a tab leaves behind must outlive the tab, and a crash of it; to wait for the disk each time would be for power cuts only.
    const transaction = this.#database.transaction([CLIENTS, ENTRIES], "readwrite", { durability: "relaxed" });
    let isActive = true;
    const done = ended(transaction).finally(() => (isActive = false));
    done.catch(() => {});
    queueMicrotask(() => {
      this.#open = undefined;
      // A transaction that nobody commits is undone when its tab is closed. One that has failed already says so by `done`.
      if (isActive) transaction.commit();
    });
    return { clients: transaction.objectStore(CLIENTS), entries: transaction.objectStore(ENTRIES), done };
  }
}

/** @typedef {{ clients: IDBObjectStore, entries: IDBObjectStore, done: Promise<void> }} Transaction */

/** @type {Promise<Store | undefined> | undefined} */
let opened;

/** The store of this origin; nothing where there is none. Rooms of one page share it. @returns {Promise<Store | undefined>} */
export function openStore() {
  return (opened ??= open().catch((error) => warn(error)));
}

let hasWarned = false;

/** Says once in a page's life that what is pending lives no longer than the page. @param {unknown} why @returns {undefined} */
export function warn(why) {
  if (hasWarned) return;
  hasWarned = true;
  const reason = why instanceof Error ? why.message || why.name : why;
  console.warn(`reapply: transitions that have no outcome yet are kept in this page only: ${reason}`);
}

/** @returns {Promise<Store>} */
function open() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      const { result } = request;
      result.createObjectStore(ENTRIES, { keyPath: ["room", "key", "order"] });
      result.createObjectStore(CLIENTS, { keyPath: ["room", "key"] }).createIndex("seen", "seen");
    };
    request.onsuccess = () => {
      const store = new Store(request.result);
      store.forgetOld();
      resolve(store);
    };
    request.onerror = () => reject(request.error);
    setTimeout(() => reject(new Error("the browser's database does not answer")), ANSWER_WITHIN_MS);
  });
}

/** All that begins with these parts. @param {...string} parts */
function within(...parts) {
  return IDBKeyRange.bound(parts, [...parts, []]);
}

/** @param {IDBTransaction} transaction @returns {Promise<void>} */
function ended(transaction) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error("the browser's database does not answer")), ANSWER_WITHIN_MS);
    transaction.oncomplete = () => {
      clearTimeout(timer);
      resolve();
    };
    transaction.onabort = () => {
      clearTimeout(timer);
      reject(transaction.error ?? new Error("the browser's database gave up"));
    };
  });
}
