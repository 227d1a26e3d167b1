// @ts-check
// The transitions of a room that have no outcome yet: those that wait for the room to be joined, and those that wait for its verdict. Each is kept
// in the client's queue until it has its outcome.

import { Effects } from "./effects.js";
import { entropy } from "./runtime.js";

/**
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Returned} Returned
 * @typedef {import("./queue.js").Queue} Queue
 * @typedef {import("./reapply_wasm.js").Replica} Replica
 * @typedef {import("./store.js").Entry} Entry
 * @typedef {{ entry: Entry, resolve: (outcome: Outcome) => void, reject: (error: Error) => void }} Waiter
 */

/** How many transitions wait for the room to be joined; the replica has a limit of its own for those after. */
const HELD_MAX = 10_000;

export class Transitions {
  /** Not taken on yet, in order. @type {Waiter[]} */
  #held = [];
  /** Taken on, by number. @type {Map<number, Waiter>} */
  #undecided = new Map();
  /** @type {Queue | undefined} */
  #queue;
  #onreturn;

  /** @param {(returned: Returned) => void} onreturn called with each transition of an earlier page that has its outcome now */
  constructor(onreturn) {
    this.#onreturn = onreturn;
  }

  /** How many wait for the room to be joined. */
  get held() {
    return this.#held.length;
  }

  /** The queue is open: what earlier pages have left comes first. @param {Queue} queue */
  open(queue) {
    this.#queue = queue;
    const early = this.#held;
    this.#held = [];
    for (const entry of queue.left) {
      const waiter = this.#returning(entry);
      // A number is kept for good, sent or not: that nothing was sent under it is noted here, and a page that is gone may have known better. What
      // never had one is taken on by its place, on top of what the room has become.
      if (entry.number > 0) this.#undecided.set(entry.number, waiter);
      else this.#held.push(waiter);
    }
    for (const waiter of early) this.hold(waiter);
  }

  /** Hands over what has its number already. @param {Replica} replica */
  restore(replica) {
    for (const [number, { entry }] of this.#undecided) {
      replica.restorePending(number, entry.json, entry.time * 1000, entropy(), entry.sent ? (entry.head ?? 0) : undefined);
    }
  }

  /** Keeps a transition until the room is joined, or rejects it when too many wait already. @param {Waiter} waiter */
  hold(waiter) {
    if (this.#held.length >= HELD_MAX) {
      const message = "too many transitions wait for the room already";
      waiter.resolve({ status: "rejected", kind: "busy", message, predicted: true });
      return;
    }
    this.#held.push(waiter);
    this.#queue?.keep(waiter.entry);
  }

  /** Hands over what was held, as far as the replica takes it on. @param {Replica} replica @param {number} now_us */
  release(replica, now_us) {
    while (!replica.isFull() && replica.hasState()) {
      const waiter = this.#held.shift();
      if (!waiter) return;
      this.submit(replica, waiter, now_us);
    }
  }

  /**
   * Gives a transition to the replica, which takes it on or refuses it.
   * @param {Replica} replica
   * @param {Waiter} waiter
   * @param {number} now_us
   */
  submit(replica, { entry, resolve, reject }, now_us) {
    const effects = new Effects();
    const isNew = entry.order === 0;
    try {
      entry.number = replica.apply(entry.json, now_us, entropy(), effects);
    } catch (error) {
      reject(/** @type {Error} */ (error));
      throw error;
    }
    if (entry.number > 0) {
      // It is written before it is sent, and nobody waits for it. What was written as never sent must first be marked.
      entry.sent = isNew && replica.isJoined();
      entry.head = replica.knownHead();
      this.#queue?.keep(entry);
      this.#undecided.set(entry.number, { entry, resolve, reject });
    } else {
      this.#queue?.drop(entry);
    }
    for (const [, outcome] of effects.outcomes) resolve(outcome);
  }

  /** What was taken on without a connection is about to be sent. Nothing, or what is to be waited for before. @returns {Promise<void> | undefined} */
  markSent() {
    return this.#queue?.hasUnsent ? this.#queue.markSent() : undefined;
  }

  /**
   * @param {number} number
   * @param {Outcome} outcome
   */
  decide(number, outcome) {
    const waiter = this.#undecided.get(number);
    if (!waiter) return;
    this.#undecided.delete(number);
    this.#queue?.drop(waiter.entry);
    waiter.resolve(outcome);
  }

  /** The room is closed. What is in the queue stays there. @param {Error} why */
  abandon(why) {
    const waiters = [...this.#undecided.values(), ...this.#held];
    this.#undecided.clear();
    this.#held = [];
    this.#queue = undefined;
    for (const waiter of waiters) waiter.reject(why);
  }

  /** @param {Entry} entry @returns {Waiter} */
  #returning(entry) {
    const { json, time } = entry;
    const resolve = (/** @type {Outcome} */ outcome) => {
      this.#onreturn({ transition: JSON.parse(json), outcome, time: new Date(time) });
    };
    return { entry, resolve, reject: () => {} };
  }
}
