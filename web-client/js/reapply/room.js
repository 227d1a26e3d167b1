// @ts-check
// A room, as a page sees it: views, promises and calls. Its shell owns the driver, which decides everything.

import { addressOf } from "./address.js";
import { Place } from "./client.js";
import { Letters, Subscribers, guardUnload, guarded } from "./notify.js";
import { Past } from "./past.js";
import { messageOf } from "./runtime.js";
import { Shell } from "./shell.js";
import { start, startWhile } from "./start.js";
import { Views } from "./views.js";

/**
 * @typedef {import("../reapply.d.ts").Options} Options
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Returned} Returned
 * @typedef {import("../reapply.d.ts").Status} Status
 * @typedef {{ resolve: (outcome: Outcome) => void, reject: (error: Error) => void }} Waiter
 */

/**
 * Joins a room.
 * @param {string | URL} url
 * @param {Options} [options]
 */
export function connect(url, options = {}) {
  return new Room(url, options);
}

export class Room {
  #url;
  #options;
  #address;
  #shell;
  /** @type {Place | undefined} */
  #place;
  /** What was asked for before the client's code was loaded. @type {[string, Waiter][]} */
  #early = [];
  /** Who waits for an outcome, by ticket. @type {Map<number, Waiter>} */
  #waiters = new Map();
  /** What has become of the transitions of earlier pages. @type {Letters<Returned>} */
  #returned = new Letters();
  /** @type {Past | undefined} */
  #past;
  #views = new Views((why) => this.#viewFaulted(why), () => this.#subscribers.notify());
  /** @type {Subscribers<Room>} */
  #subscribers = new Subscribers(this);
  /** The driver's revisions, as they were when something was last made of them. */
  #seen = { all: 0, states: 0, presence: 0 };
  #closed = false;
  /** Why the room is closed, or why the client's code is not here. @type {string | undefined} */
  #reason;
  /** @type {{ received: number, bytes: number } | undefined} */
  #progress;
  /** @type {string[]} */
  #participants = [];
  /** @type {(room: Room) => void} */
  #resolveReady = () => {};
  /** @type {(error: Error) => void} */
  #rejectReady = () => {};

  /** Called with each signal of the others. @type {((signal: import("../reapply.d.ts").Signal) => void) | null} */
  onsignal = null;

  /** @type {Promise<Room>} */
  ready = new Promise((resolve, reject) => {
    this.#resolveReady = resolve;
    this.#rejectReady = reject;
  });

  /**
   * @param {string | URL} url
   * @param {Options} options
   * @param {import("./client.js").Client} [orphan] a client that is gone, whose transitions are delivered
   */
  constructor(url, options, orphan) {
    this.#url = url;
    this.#options = options;
    this.#address = addressOf(url);
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key)) {
      throw new TypeError("options.key must be 32 hexadecimal digits");
    }
    // Whoever does not wait for `ready` learns of its failure from `status` and `reason`.
    this.ready.catch(() => {});
    this.#shell = new Shell(this.#address, options, this.#page);
    if (!orphan) this.#place = new Place(this.#address.name, options.key);
    this.#start(orphan);
  }

  get view() {
    return this.pending === 0 ? this.confirmed : this.#views.optimistic(this.#shell.driver);
  }

  get confirmed() {
    return this.#views.confirmed(this.#shell.driver);
  }

  get pending() {
    return this.#shell.driver?.pending() ?? this.#early.length;
  }

  get durable() {
    return this.#shell.driver?.isDurable() ?? false;
  }

  get onreturn() {
    return this.#returned.reader;
  }

  set onreturn(reader) {
    this.#returned.reader = reader;
  }

  /** @returns {Status} */
  get status() {
    if (this.#closed) return "closed";
    return /** @type {Status | undefined} */ (this.#shell.driver?.status()) ?? "connecting";
  }

  get reason() {
    return this.#shell.driver?.reason() ?? this.#reason;
  }

  get progress() {
    const [received, bytes] = this.#shell.driver?.arriving() ?? [];
    if (received === undefined || bytes === undefined) return (this.#progress = undefined);
    if (this.#progress?.received !== received || this.#progress.bytes !== bytes) this.#progress = { received, bytes };
    return this.#progress;
  }

  get seq() {
    return this.#shell.driver?.seq() ?? 0;
  }

  get participant() {
    return this.#shell.driver?.participant();
  }

  get participants() {
    const revision = this.#shell.driver?.presenceRevision() ?? 0;
    if (revision !== this.#seen.presence) this.#participants = this.#shell.driver?.participants() ?? [];
    this.#seen.presence = revision;
    return this.#participants;
  }

  get participantCount() {
    return this.#shell.driver?.participantCount() ?? 0;
  }

  get latency() {
    return this.#shell.driver?.latency();
  }

  get digest() {
    return this.#shell.driver?.digest();
  }

  /** @returns {number} */
  now() {
    return this.#shell.driver?.now() ?? Date.now();
  }

  /**
   * @param {unknown} transition
   * @returns {Promise<Outcome>}
   */
  apply(transition) {
    /** @type {Promise<Outcome>} */
    const outcome = new Promise((resolve, reject) => {
      if (this.#closed) throw new Error(`the room is closed: ${this.reason}`);
      const json = JSON.stringify(transition);
      if (json === undefined) throw new TypeError("a transition must be a JSON value");
      this.#take(json, { resolve, reject });
    });
    // That a room was closed in the meantime is not an error of whoever does not wait for the outcome.
    outcome.catch(() => {});
    return outcome;
  }

  /**
   * @param {Uint8Array | string} body
   * @returns {boolean}
   */
  signal(body) {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return this.#shell.drive((driver) => driver.signal(bytes)) ?? false;
  }

  /**
   * @param {number | { time: Date | number | string }} where
   * @returns {Promise<import("../reapply.d.ts").Moment>}
   */
  async at(where) {
    await start();
    this.#past ??= new Past(this.#address);
    return this.#past.at(where);
  }

  /**
   * A function of its own, so that it can be handed on without the room.
   * @param {(room: Room) => void} subscriber
   * @returns {() => void}
   */
  subscribe = (subscriber) => this.#subscribers.add(subscriber);

  close() {
    if (this.#shell.driver) this.#shell.drive((driver) => driver.handleClose());
    else this.#end("this page has closed it");
  }

  /** @param {import("./client.js").Client} [orphan] */
  async #start(orphan) {
    try {
      await startWhile(() => !this.#closed, this.#options.backoff, (why) => this.#failed(why));
      if (this.#closed) return orphan?.letGo();
      this.#reason = undefined;
      this.#shell.begin(orphan !== undefined);
      for (const [json, waiter] of this.#early.splice(0)) this.#take(json, waiter);
      const client = orphan ?? (await this.#place?.arrive());
      if (client) this.#shell.become(client);
    } catch (error) {
      this.#end(`the client could not be started: ${messageOf(error)}`);
    }
  }

  /** The client's code could not be loaded. It is tried again. @param {string} why */
  #failed(why) {
    this.#reason = why;
    this.#subscribers.notify();
  }

  /** @param {string} json @param {Waiter} waiter */
  #take(json, waiter) {
    if (!this.#shell.driver) {
      this.#early.push([json, waiter]);
      guardUnload(this, true);
      return this.#subscribers.notify();
    }
    const isTaken = this.#shell.drive((driver) => {
      const ticket = driver.apply(json);
      if (ticket !== undefined) this.#waiters.set(ticket, waiter);
      return ticket !== undefined;
    });
    if (!isTaken) waiter.reject(new Error(`the room is closed: ${this.reason}`));
  }

  /** What the shell tells. @type {import("./shell.js").Page & import("./effects.js").Teller} */
  #page = {
    changed: () => this.#changed(),
    joined: () => this.#resolveReady(this),
    decided: (ticket, outcome) => {
      this.#waiters.get(ticket)?.resolve(outcome);
      this.#waiters.delete(ticket);
    },
    returned: (returned) => this.#returned.deliver(returned),
    signalled: (signal) => guarded(() => this.onsignal?.(signal)),
    deliver: (client, closed) => {
      const courier = new Room(this.#url, this.#options, client);
      courier.onreturn = (returned) => this.#returned.deliver(returned);
      const leave = courier.subscribe(() => {
        if (courier.status !== "closed") return;
        leave();
        closed();
      });
      return courier;
    },
    closed: (why) => this.#end(why),
  };

  /** The machine has broken off in a view. The replica has it start again, from a snapshot of the room. @param {string} why */
  #viewFaulted(why) {
    const { machine, room } = this.#address;
    console.warn(`reapply: ${machine}/${room}: the view could not be made here, and stays as it was: ${why}`);
    this.#shell.drainSoon();
  }

  /** @param {string} why */
  #end(why) {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = why;
    this.#shell.end();
    this.#rejectReady(new Error(why));
    const undecided = new Error(`the room was closed before this was decided: ${why}`);
    for (const { reject } of [...this.#early.map(([, waiter]) => waiter), ...this.#waiters.values()]) reject(undecided);
    this.#early = [];
    this.#waiters.clear();
    this.#place?.leave();
    guardUnload(this, false);
    this.#subscribers.notify();
  }

  /** Something may have changed: the views, or what a subscriber may look at besides. */
  #changed() {
    const driver = this.#shell.driver;
    if (!driver || driver.revision() === this.#seen.all) return;
    if (driver.statesRevision() !== this.#seen.states) this.#views.expire();
    this.#seen.all = driver.revision();
    this.#seen.states = driver.statesRevision();
    guardUnload(this, driver.pending() > 0 && !driver.isDurable() && !this.#closed);
    this.#subscribers.notify();
  }
}
