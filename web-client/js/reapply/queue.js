// @ts-check
// A client's transitions without an outcome, kept in this browser: whatever becomes of the page, the next one sends them.

import { warn } from "./store.js";

/** @typedef {import("./store.js").Entry} Entry */
/** @typedef {import("./store.js").Store} Store */

/** Numbers that are set aside at a time. A page begins above those of the page before it: no number ever names two transitions, not even where
 * the last entries were not written any more. */
const RESERVED = 1_000;

/** How long a queue that could not be written waits before all of it is written again. */
const REWRITE_AFTER_MS = 5_000;

export class Queue {
  /** What earlier pages have left, in order. @type {Entry[]} */
  left = [];
  /** This page's numbers are above. */
  base = 0;
  /** Called when `isDurable` has changed. */
  onchange = () => {};
  /** @type {Store | undefined} */
  #store;
  #name;
  #given;
  #isNew;
  #reserved = 0;
  #lastOrder = 0;
  /** All that has no outcome. @type {Set<Entry>} */
  #kept = new Set();
  /** Entries that were taken on, by this page or an earlier one, and never sent. @type {Set<Entry>} */
  #unsent = new Set();
  /** Whether all that is kept is written, as far as is known. */
  #isWritten = false;
  #isRead = false;
  #forget = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #rewriting;

  /**
   * @param {Store | undefined} store
   * @param {{ room: string, key: string, given: boolean }} client `given`: the key is the application's, not this browser's own
   * @param {boolean} [isNew] the client was never used before, so that nothing of it can be in the store
   */
  constructor(store, { room, key, given }, isNew = false) {
    this.#store = store;
    this.#name = { room, key };
    this.#given = given;
    this.#isNew = isNew;
  }

  /** Whether what is kept here outlives the page. */
  get isDurable() {
    return this.#isWritten && (this.#store?.isOpen ?? false);
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
    try {
      if (!this.#isNew) await this.#read();
      this.#isRead = this.#store !== undefined;
      this.#forget = this.#store?.whenOpen(() => this.#rewrite()) ?? this.#forget;
      if (this.#store?.isOpen) await this.#rewrite();
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
    this.#kept.add(entry);
    const last = Math.max(entry.order, entry.number);
    if (last > this.#reserved) this.#reserve(last);
    this.#write(({ entries }) => entries.put({ ...this.#name, ...entry }));
  }

  /** It has its outcome. @param {Entry} entry */
  drop(entry) {
    this.#unsent.delete(entry);
    this.#kept.delete(entry);
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
    this.#forget();
    clearTimeout(this.#rewriting);
  }

  async #read() {
    const found = await this.#store?.find(this.#name.room, this.#name.key);
    this.left = found?.entries ?? [];
    this.left.forEach((entry) => this.#kept.add(entry));
    this.#unsent = new Set(this.left.filter(isUnsent));
    const used = this.left.map(({ order, number }) => Math.max(order, number));
    this.base = Math.max(found?.record?.reserved ?? 0, ...used);
    this.#lastOrder = this.base;
  }

  /** Writes all that is kept: the database is there for the first time, or again and perhaps empty, or has failed before. */
  async #rewrite() {
    clearTimeout(this.#rewriting);
    this.#rewriting = undefined;
    if (!(await this.#store?.open())) return this.#unwritten();
    const last = [...this.#kept].reduce((last, { order, number }) => Math.max(last, order, number), this.base);
    const writes = [this.#reserve(last)];
    for (const entry of this.#kept) writes.push(this.#write(({ entries }) => entries.put({ ...this.#name, ...entry })));
    if ((await Promise.all(writes)).every(Boolean)) this.#setWritten(true);
  }

  /** @param {number} last the last number that is in use */
  #reserve(last) {
    this.#reserved = Math.max(this.#reserved, last + RESERVED);
    const record = { ...this.#name, reserved: this.#reserved, given: this.#given, seen: Date.now() };
    return this.#write(({ clients }) => clients.put(record));
  }

  /** Writes, and tells whether that is done. @param {Parameters<Store["write"]>[0]} change */
  async #write(change) {
    try {
      await this.#store?.write(change);
      return true;
    } catch (error) {
      // The room goes on without. The next write is tried all the same: there may be space again, and what is decided must go.
      warn(error);
      this.#unwritten();
      return false;
    }
  }

  /** Not all is written. It is tried again after a while. */
  #unwritten() {
    this.#setWritten(false);
    if (this.#store) this.#rewriting ??= setTimeout(() => this.#rewrite(), REWRITE_AFTER_MS);
  }

  /** @param {boolean} isWritten */
  #setWritten(isWritten) {
    this.#isWritten = isWritten;
    this.onchange();
  }
}

/** Whether it was taken on, and noted as never sent. @param {Entry} entry */
function isUnsent({ number, sent }) {
  return number > 0 && !sent;
}
