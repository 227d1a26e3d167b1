// Who this page is in a room. The driver's code decides; here are the locks and the storage that it asks for.

import { hasLocks, hold } from "./locks.js";
import type { Lock } from "./locks.js";
import { Arrival } from "./reapply_wasm.js";
import type { Ask, Patience } from "./reapply_wasm.js";
import { store, warn } from "./store.js";

/** Where a tab's key is kept. A page in a frame shares the tab's storage with the page around it, and must not take that page's key. */
const ITEM = globalThis.top === globalThis.self ? "reapply.key" : `reapply.key ${globalThis.location?.pathname}`;

/** How long a reloaded page waits for the page before it to let go of the key, in milliseconds. Only a duplicated tab waits in vain. */
const LOCK_WAIT_MS = 500;

/** Who has the tab's own client, by room: a room takes each key once. */
const owners = new Map<string, Place>();

/** When the last one who has asked for the tab's own client has it, by room. */
const turns = new Map<string, Promise<void>>();

/** A place in the line of those in this page who would be the tab's client in a room. */
export class Place {
  /** The room's URL. */
  readonly #room: string;
  readonly #given: string | undefined;
  readonly #isNew: boolean;
  /** When those before have arrived, or have left. */
  #before: Promise<void> | undefined;
  #done: () => void = () => {};
  #hasBegun = false;

  /** `given` is the key that the application has chosen: whoever comes with it is that client from now on. */
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

  /** Finds out who this page is. */
  async arrive(): Promise<Client> {
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
  leave(): void {
    this.#forgo();
    if (!this.#hasBegun) this.#done();
  }

  #forgo(): void {
    if (owners.get(this.#room) === this) owners.delete(this.#room);
  }
}

/** A client that is this page's, and its locks. */
export class Client {
  /** How the page came to be the client. The driver takes it over. */
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

  /** Called when another page has taken the client over, at once where it has already. */
  set onlost(call: () => void) {
    this.#locks.onlost = call;
    if (this.#locks.isLost) call();
  }

  /** Leaves the client to others. */
  letGo(): void {
    this.#locks.release();
  }
}

/** A client that has left something in a room and that no page is now, if there is one. */
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

/** Answers what an arrival asks, until it asks no more. */
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

/** Finds the tab's key, and holds it for as long as this page lives. */
async function keyOfThisTab(room: string): Promise<string | undefined> {
  const arrival = Arrival.beginTab(hasLocks);
  await converse(arrival, room, new Locks());
  return arrival.key;
}

/** The locks that make a client a page's own. */
class Locks {
  isLost = false;
  onlost: () => void = () => {};
  readonly #held: Lock[] = [];

  /** Takes a lock, and says whether it is held. */
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

/** Other pages can read a lock's name: it gives away too little of the key to guess the rest. */
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
