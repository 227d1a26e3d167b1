// The identity of this page in a room. The driver's code decides, and asks for the locks and the storage here.

import { hasLocks, hold } from "./locks.js";
import type { Lock } from "./locks.js";
import { Arrival } from "./reapply_wasm.js";
import type { Ask, Patience } from "./reapply_wasm.js";
import { store, warn } from "./store.js";

/** The name under which a tab's key is kept. A page in a frame shares the tab's storage with the page around it, and must not take that page's key. */
const ITEM = globalThis.top === globalThis.self ? "reapply.key" : `reapply.key ${globalThis.location?.pathname}`;

/** The maximum time that a reloaded page waits for the page before it to release the key, in milliseconds. Only in a duplicated tab the key
 * stays locked. */
const LOCK_WAIT_MS = 500;

/** The owner of the tab's own client in each room, since a room admits each key once. */
const owners = new Map<string, Place>();

/** A promise for each room, which resolves when the last place in the queue has had its turn. */
const turns = new Map<string, Promise<void>>();

/** A place in this page's queue for being the tab's client in a room. */
export class Place {
  /** The room's URL. */
  readonly #room: string;
  readonly #given: string | undefined;
  readonly #isNew: boolean;
  /** Resolves when those before have arrived, or have left. */
  #before: Promise<void> | undefined;
  #done: () => void = () => {};
  #hasBegun = false;

  /** `given` is the key that the application has chosen. The latest page with that key is the client. */
  constructor(room: string, given?: string) {
    this.#room = room;
    // However a key is written, its client has one queue and one lock.
    this.#given = given?.toLowerCase();
    this.#isNew = owners.has(room);
    if (given !== undefined || this.#isNew) return;
    owners.set(room, this);
    this.#before = turns.get(room);
    turns.set(room, new Promise((resolve) => (this.#done = resolve)));
  }

  /** Finds this page's client. */
  async arrive(): Promise<Client> {
    this.#hasBegun = true;
    await this.#before;
    try {
      const client = await arrived(Arrival.begin(this.#given, this.#isNew, hasLocks), this.#room);
      // If this is another client, the tab's own is free for others.
      if (client.key !== (await ofThisTab)) this.#forgo();
      return client;
    } finally {
      this.#done();
    }
  }

  /** Gives up the tab's client at once, even before it has arrived, so that the next one can have it. */
  leave(): void {
    this.#forgo();
    if (!this.#hasBegun) this.#done();
  }

  #forgo(): void {
    if (owners.get(this.#room) === this) owners.delete(this.#room);
  }
}

/** This page's client, with its locks. */
export class Client {
  /** The search that found the client. The driver takes it over. */
  readonly arrival: Arrival;
  readonly key: string;
  readonly isGiven: boolean;
  readonly #locks: Locks;

  constructor(arrival: Arrival, locks: Locks) {
    this.arrival = arrival;
    this.key = arrival.key ?? "";
    this.isGiven = arrival.isGiven;
    this.#locks = locks;
  }

  /** Called when another page has taken over the client. If that has happened already, it is called at once. */
  set onlost(call: () => void) {
    this.#locks.onlost = call;
    if (this.#locks.isLost) call();
  }

  /** Releases the client for others. */
  letGo(): void {
    this.#locks.release();
  }
}

/** Takes over a client with undelivered transitions in a room, if there is one that no page is now. */
export async function adopt(arrival: Arrival, room: string): Promise<Client | undefined> {
  const client = await arrived(arrival, room);
  return client.arrival.isAnybody ? client : undefined;
}

async function arrived(arrival: Arrival, room: string): Promise<Client> {
  if (!hasLocks) warn("this page was not loaded over https, so there are no locks to say which tab's they are");
  const locks = new Locks();
  await converse(arrival, room, locks);
  return new Client(arrival, locks);
}

/** Carries out the requests of an arrival until it has no more. */
async function converse(arrival: Arrival, room: string, locks: Locks): Promise<void> {
  for (let ask = arrival.ask; ask !== undefined; ask = arrival.ask) {
    arrival.answer(await answers[ask](arrival, room, locks));
  }
}

let ofThisTab: Promise<string | undefined> | undefined;

const answers: Record<Ask, (arrival: Arrival, room: string, locks: Locks) => unknown> = {
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

/** Finds the tab's key, and holds it as long as this page lives. */
async function keyOfThisTab(room: string): Promise<string | undefined> {
  const arrival = Arrival.beginTab(hasLocks);
  await converse(arrival, room, new Locks());
  return arrival.key;
}

/** The locks that reserve a client for a page. */
class Locks {
  isLost = false;
  onlost: () => void = () => {};
  readonly #held: Lock[] = [];

  /** Takes a lock, and returns whether it is held. */
  async take(name: string, patience: Patience | undefined, onlost: () => void): Promise<boolean> {
    const lock = await hold(name, optionsOf(patience), onlost);
    if (lock) this.#held.push(lock);
    return lock !== undefined;
  }

  lose(): void {
    this.isLost = true;
    this.onlost();
  }

  release(): void {
    for (const lock of this.#held.splice(0)) lock.release();
  }
}

function optionsOf(patience: Patience | undefined): LockOptions {
  if (patience === "steal") return { steal: true };
  if (patience === "none") return { ifAvailable: true };
  return patience === "moment" ? { signal: AbortSignal.timeout(LOCK_WAIT_MS) } : {};
}

/** Returns the name of a lock. Other pages can read it, so it has too little of the key to guess the rest. */
function lockOf(key = "", room?: string): string {
  return ["reapply.key", key.slice(0, 8), room].filter(Boolean).join(" ");
}

function read(): string | undefined {
  try {
    return sessionStorage.getItem(ITEM) ?? undefined;
  } catch {
    // No storage, or not for this page: the key lives as long as the page.
    return undefined;
  }
}

function write(key: string): void {
  try {
    sessionStorage.setItem(ITEM, key);
  } catch {
    // As above.
  }
}
