// @ts-check
// Calls into the page's own code, whose mistakes are reported and do not break a room.

/**
 * Those who want to know of every change.
 * @template T
 */
export class Subscribers {
  #subject;
  /** @type {Set<(subject: T) => void>} */
  #subscribers = new Set();
  #mustNotify = false;

  /** @param {T} subject what they are called with */
  constructor(subject) {
    this.#subject = subject;
  }

  /** @param {(subject: T) => void} subscriber @returns {() => void} what ends that */
  add(subscriber) {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  /** Calls them, once for all changes of this tick. */
  notify() {
    if (this.#mustNotify) return;
    this.#mustNotify = true;
    queueMicrotask(() => {
      this.#mustNotify = false;
      for (const subscriber of [...this.#subscribers]) guarded(() => subscriber(this.#subject));
    });
  }
}

/**
 * What must not be lost before somebody reads it: each letter is read once, by whoever reads first.
 * @template T
 */
export class Letters {
  /** @type {T[]} */
  #unread = [];
  /** @type {((letter: T) => void) | null} */
  #reader = null;

  get reader() {
    return this.#reader;
  }

  set reader(reader) {
    this.#reader = reader;
    const unread = this.#unread;
    this.#unread = [];
    for (const letter of unread) this.deliver(letter);
  }

  /** @param {T} letter */
  deliver(letter) {
    if (this.#reader) guarded(() => this.#reader?.(letter));
    else this.#unread.push(letter);
  }
}

/** @param {() => void} call */
export function guarded(call) {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}

/** Those who would lose something with the page. @type {Set<unknown>} */
const losing = new Set();

/** @param {BeforeUnloadEvent} event */
const ask = (event) => event.preventDefault();

/**
 * Has the browser ask before it leaves the page, as long as anyone would lose something with it. A page that would not may sleep and come back.
 * @param {unknown} who
 * @param {boolean} wouldLose
 */
export function guardUnload(who, wouldLose) {
  if (wouldLose) losing.add(who);
  else losing.delete(who);
  if (losing.size > 0) globalThis.addEventListener?.("beforeunload", ask);
  else globalThis.removeEventListener?.("beforeunload", ask);
}
