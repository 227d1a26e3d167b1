// @ts-check
// A client's transitions without an outcome, kept in this browser: whatever becomes of the page, the next one sends them.

import { warn } from "./store.js";

/** @typedef {import("./store.js").Entry} Entry */
/** @typedef {import("./store.js").Store} Store */

/** Numbers that are set aside at a time. A page begins above those of the page before it: no number ever names two transitions, not even where
 * the last entries were not written any more. */
const RESERVED = 1_000;

export class Queue {
  /** What earlier pages have left, in order. @type {Entry[]} */
  left = [];
  /** This page's numbers are above. */
  base = 0;
  #store;
  #name;
  #given;
  #reserved = 0;
  #lastOrder = 0;
  /** Entries that were taken on, by this page or an earlier one, and never sent. @type {Set<Entry>} */
  #unsent = new Set();
  #hasFailed = false;
  #isRead = false;

  /**
   * @param {Store | undefined} store
   * @param {{ room: string, key: string, given: boolean }} client `given`: the key is the application's, not this browser's own
   */
  constructor(store, { room, key, given }) {
    this.#store = store;
    this.#name = { room, key };
    this.#given = given;
  }

  /** Whether what is kept here outlives the page. */
  get isDurable() {
    return this.#store !== undefined && !this.#hasFailed;
  }

  /** Whether it is known what earlier pages have left, and which numbers they have used. */
  get isRead() {
    return this.#isRead;
  }

  get hasUnsent() {
    return this.#unsent.size > 0;
  }

  /** Reads what earlier pages have left, and sets numbers aside for this one. */
  async open() {
    const { room, key } = this.#name;
    try {
      const found = await this.#store?.find(room, key);
      this.left = found?.entries ?? [];
      this.#unsent = new Set(this.left.filter(isUnsent));
      const used = this.left.map(({ order, number }) => Math.max(order, number));
      this.base = Math.max(found?.record?.reserved ?? 0, ...used);
      this.#lastOrder = this.base;
      this.#isRead = this.#store !== undefined;
      await this.#reserve(this.base);
    } catch (error) {
      // What is there cannot be read, and must not be written over.
      this.disown();
      warn(error);
    }
  }

  /** Keeps an entry, or what has changed in it. @param {Entry} entry */
  keep(entry) {
    if (entry.order === 0) entry.order = this.#lastOrder += 1;
    if (isUnsent(entry)) this.#unsent.add(entry);
    const last = Math.max(entry.order, entry.number);
    if (last > this.#reserved) this.#reserve(last);
    this.#write(({ entries }) => entries.put({ ...this.#name, ...entry }));
  }

  /** It has its outcome. @param {Entry} entry */
  drop(entry) {
    this.#unsent.delete(entry);
    if (entry.order > 0) this.#write(({ entries }) => entries.delete([this.#name.room, this.#name.key, entry.order]));
  }

  /** What was taken on is about to be sent. Resolves when that is written: what may have been sent must never count as what was not. */
  async markSent() {
    let written;
    for (const entry of this.#unsent) {
      entry.sent = true;
      written = this.#write(({ entries }) => entries.put({ ...this.#name, ...entry }));
    }
    this.#unsent.clear();
    await written;
  }

  /** Another page has taken the client over: nothing is written any more. */
  disown() {
    this.#store = undefined;
  }

  /** @param {number} last the last number that is in use */
  #reserve(last) {
    this.#reserved = last + RESERVED;
    const record = { ...this.#name, reserved: this.#reserved, given: this.#given, seen: Date.now() };
    return this.#write(({ clients }) => clients.put(record));
  }

  /** @param {Parameters<Store["write"]>[0]} change */
  async #write(change) {
    try {
      await this.#store?.write(change);
    } catch (error) {
      // The room goes on without. The next write is tried all the same: there may be space again, and what is decided must go.
      this.#hasFailed = true;
      warn(error);
    }
  }
}

/** Whether it was taken on, and noted as never sent. @param {Entry} entry */
function isUnsent({ number, sent }) {
  return number > 0 && !sent;
}
