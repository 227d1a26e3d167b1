// The clients' transitions in this browser: one database for all pages of an origin.

const DATABASE = "reapply";
const VERSION = 1;

/** Entries, by room, key and order. */
const ENTRIES = "entries";

/** Other data about a client in a room, by room and key. */
const CLIENTS = "clients";

/** The maximum time for which a page waits for the database. After that the page works without it until it answers. */
const ANSWER_WITHIN_MS = 3_000;

/** The time after which clients without transitions are forgotten. Rooms forget them much earlier. */
const FORGET_AFTER_MS = 180 * 24 * 60 * 60 * 1000;

/** A transition without an outcome. */
export interface Entry {
  /** Its place among the entries of its client, which never changes. */
  order: number;
  /** Its number in the room; 0 until it has one. */
  number: number;
  json: string;
  time: number;
  /** Whether it was sent, so that the room may have it. */
  sent: boolean;
  /** The head of the log when it was first sent. */
  head?: number | undefined;
}

/** The data about a client in a room. */
export interface ClientRecord {
  room: string;
  key: string;
  reserved: number;
  /** Whether the application has chosen the key. */
  given: boolean;
  seen: number;
}

/** The transitions that a client has left in a room. */
export interface Found {
  reserved: number;
  entries: Entry[];
}

export type Change = { put: Entry } | { delete: number } | { reserve: number };

/** A watcher, which is told when the database opens or closes. */
export interface Watcher {
  opened(): void;
  closed(): void;
}

interface Transaction {
  clients: IDBObjectStore;
  entries: IDBObjectStore;
  done: Promise<void>;
}

/** The error of a database that did not answer, so that the outcome is unknown. */
export class NoAnswer extends Error {
  constructor() {
    super("the browser's database does not answer");
  }
}

export class Store {
  #database: IDBDatabase | undefined;
  #opening: Promise<boolean> | undefined;
  /** The transaction of this tick. */
  #open: Transaction | undefined;
  readonly #watchers = new Set<Watcher>();

  get isOpen(): boolean {
    return this.#database !== undefined;
  }

  /** Opens the database unless it is open. Resolves to whether it is open, within the time that a page waits. It may open later. */
  open(): Promise<boolean> {
    if (this.#database) return Promise.resolve(true);
    this.#opening ??= this.#reopen();
    return Promise.race([this.#opening, after(ANSWER_WITHIN_MS)]).then(() => {
      return this.isOpen || warn("the browser's database does not answer") || false;
    });
  }

  /** Adds a watcher, which is told when the database opens late or again, or closes. Returns a function that removes it. */
  watch(watcher: Watcher): () => void {
    this.#watchers.add(watcher);
    return () => {
      this.#watchers.delete(watcher);
    };
  }

  /** Returns the transitions that a client has left in a room. */
  async find(room: string, key: string): Promise<Found> {
    const transaction = this.#transaction("readonly");
    const record: IDBRequest<ClientRecord | undefined> = transaction.objectStore(CLIENTS).get([room, key]);
    const entries: IDBRequest<Entry[]> = transaction.objectStore(ENTRIES).getAll(within(room, key));
    await ended(transaction);
    return { reserved: record.result?.reserved ?? 0, entries: entries.result };
  }

  /** Returns the clients that have left transitions in a room. */
  async clientsWithEntries(room: string): Promise<ClientRecord[]> {
    const transaction = this.#transaction("readonly");
    const records: IDBRequest<ClientRecord[]> = transaction.objectStore(CLIENTS).getAll(within(room));
    const names = transaction.objectStore(ENTRIES).getAllKeys(within(room));
    await ended(transaction);
    const keys = new Set(names.result.map((name) => (name as string[])[1]));
    return records.result.filter(({ key }) => keys.has(key));
  }

  /** Writes within this tick's transaction. Resolves when the transaction is complete, and rejects if it fails. */
  write({ room, key, given }: Pick<ClientRecord, "room" | "key" | "given">, changes: Change[]): Promise<void> {
    try {
      const { clients, entries, done } = (this.#open ??= this.#begin());
      for (const change of changes) {
        if ("put" in change) entries.put({ room, key, ...change.put });
        else if ("delete" in change) entries.delete([room, key, change.delete]);
        else clients.put({ room, key, reserved: change.reserve, given, seen: Date.now() } satisfies ClientRecord);
      }
      return done;
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async #reopen(): Promise<boolean> {
    try {
      this.#database = await openDatabase();
    } catch (error) {
      warn(error);
      return false;
    } finally {
      this.#opening = undefined;
    }
    // A later version of this client, in another tab, needs to upgrade the database.
    this.#database.onversionchange = () => this.#closed();
    // The browser has closed the database: somebody has cleared this site's data, or the disk has failed.
    this.#database.onclose = () => {
      this.#closed();
      this.open();
    };
    this.#forgetOld();
    for (const watcher of [...this.#watchers]) watcher.opened();
    return true;
  }

  #closed(): void {
    this.#database?.close();
    this.#database = this.#open = undefined;
    for (const watcher of [...this.#watchers]) watcher.closed();
  }

  #transaction(mode: IDBTransactionMode): IDBTransaction {
    if (!this.#database) throw new Error("the browser's database is not open");
    try {
      // Entries must survive the end or a crash of the tab. Waiting for the disk each time would only help with power cuts.
      return this.#database.transaction([CLIENTS, ENTRIES], mode, { durability: "relaxed" });
    } catch (error) {
      // The browser may also close databases without an event.
      this.#closed();
      throw error;
    }
  }

  /** Forgets the clients without transitions that were not seen for a long time. */
  #forgetOld(): void {
    const transaction = this.#transaction("readwrite");
    const clients = transaction.objectStore(CLIENTS);
    const cursor = clients.index("seen").openCursor(IDBKeyRange.upperBound(Date.now() - FORGET_AFTER_MS));
    cursor.onsuccess = () => {
      const found = cursor.result;
      if (!found) return;
      const { room, key }: ClientRecord = found.value;
      const left = transaction.objectStore(ENTRIES).count(within(room, key));
      left.onsuccess = () => left.result === 0 && clients.delete([room, key]);
      found.continue();
    };
  }

  #begin(): Transaction {
    const transaction = this.#transaction("readwrite");
    let isActive = true;
    const done = ended(transaction).finally(() => (isActive = false));
    done.catch(() => {});
    queueMicrotask(() => {
      this.#open = undefined;
      // A transaction that is not committed is rolled back when its tab is closed. If it has failed already, `done` rejects.
      if (isActive) transaction.commit();
    });
    return { clients: transaction.objectStore(CLIENTS), entries: transaction.objectStore(ENTRIES), done };
  }
}

/** The store of this origin. Rooms of one page share it. */
export const store: Store = new Store();

let hasWarned = false;

/** Warns, once in a page's life, that pending transitions are lost with the page. */
export function warn(why: unknown): undefined {
  if (hasWarned) return;
  hasWarned = true;
  const reason = why instanceof Error ? why.message || why.name : why;
  console.warn(`reapply: transitions that have no outcome yet are kept in this page only: ${reason}`);
}

function openDatabase(): Promise<IDBDatabase> {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open(DATABASE, VERSION);
    request.onupgradeneeded = () => {
      const { result } = request;
      result.createObjectStore(ENTRIES, { keyPath: ["room", "key", "order"] });
      result.createObjectStore(CLIENTS, { keyPath: ["room", "key"] }).createIndex("seen", "seen");
    };
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function after(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

/** Returns the range of all keys that begin with these parts. */
function within(...parts: string[]): IDBKeyRange {
  return IDBKeyRange.bound(parts, [...parts, []]);
}

function ended(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new NoAnswer()), ANSWER_WITHIN_MS);
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
