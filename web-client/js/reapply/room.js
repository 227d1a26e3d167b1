// @ts-check
// A room, as a page sees it: drives the replica, and turns what it brings forth into views, promises and calls.

import { addressOf, whyRefused } from "./address.js";
import { drawKey, keyOfThisTab } from "./client-key.js";
import { MachineError, load } from "./component.js";
import { Connection } from "./connection.js";
import { Effects } from "./effects.js";
import { HostClock } from "./host-clock.js";
import init, { Replica } from "./reapply_wasm.js";
import { entropy, soon } from "./runtime.js";
import { Views } from "./views.js";

/**
 * @typedef {import("../reapply.d.ts").Options} Options
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Status} Status
 * @typedef {{ json: string, resolve: (outcome: Outcome) => void, reject: (error: Error) => void }} Waiter
 */

/** How many transitions wait for the room to be joined; the replica has a limit of its own for those after. */
const EARLY_MAX = 10_000;

/** How much of a new measurement goes into the latency that is shown. */
const LATENCY_WEIGHT = 0.25;

/** The rooms that this page has joined with the tab's own key: a room takes each key once. @type {Set<string>} */
const joinedByTab = new Set();

const WASM = new URL("./reapply_wasm_bg.wasm", import.meta.url);

/** @type {Promise<unknown> | undefined} */
let wasm;

/**
 * Joins a room.
 * @param {string | URL} url
 * @param {Options} [options]
 */
export function connect(url, options = {}) {
  return new Room(url, options);
}

export class Room {
  #address;
  #connection;
  /** @type {Replica | undefined} */
  #replica;
  /** Frames that have arrived and were not handled yet. @type {Uint8Array[]} */
  #frames = [];
  /** Transitions that wait for a state. @type {Waiter[]} */
  #early = [];
  /** Transitions that wait for the room's verdict, by number. @type {Map<number, Waiter>} */
  #undecided = new Map();
  #views = new Views();
  /** @type {Set<(room: Room) => void>} */
  #subscribers = new Set();
  #mustNotify = false;
  /** The digest of the build that is being loaded. @type {string | undefined} */
  #loading;
  #wasOpen = false;
  #wasLive = false;
  /** Whether the room has ended the session that is still open. */
  #parted = false;
  #closed = false;
  #clock = new HostClock();
  #usesTabKey = false;
  /** @type {string | undefined} */
  #reason;
  /** @type {number | undefined} */
  #latency;
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
   */
  constructor(url, options) {
    this.#address = addressOf(url);
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key)) {
      throw new TypeError("options.key must be 32 hexadecimal digits");
    }
    // Whoever does not wait for `ready` learns of its failure from `status` and `reason`.
    this.ready.catch(() => {});
    this.#connection = new Connection(this.#address.socket, options, {
      opened: () => this.#opened(),
      frame: (frame) => this.#arrived(frame),
      lost: () => this.#lost(),
      heartbeat: () => this.#ping(),
    });
    this.#start(this.#chooseKey(options.key));
  }

  get view() {
    return this.pending === 0 ? this.confirmed : this.#views.optimistic(this.#replica);
  }

  get confirmed() {
    return this.#views.confirmed(this.#replica);
  }

  get pending() {
    return this.#early.length + (this.#replica?.pending() ?? 0);
  }

  /** @returns {Status} */
  get status() {
    if (this.#closed) return "closed";
    if (this.#connection.isOpen) return this.#replica?.isLive() ? "live" : "connecting";
    return this.#wasOpen || this.#connection.isWaiting ? "offline" : "connecting";
  }

  get reason() {
    return this.#reason;
  }

  get seq() {
    return this.#replica?.seq() ?? 0;
  }

  get participant() {
    return this.#replica?.participant();
  }

  get participants() {
    const participants = this.#replica?.participants() ?? [];
    if (participants.join("\n") !== this.#participants.join("\n")) this.#participants = participants;
    return this.#participants;
  }

  get participantCount() {
    return this.#replica?.participantCount() ?? 0;
  }

  get latency() {
    return this.#latency;
  }

  get digest() {
    return this.#replica?.digest();
  }

  /** @returns {number} */
  now() {
    return this.#clock.now();
  }

  /**
   * @param {unknown} transition
   * @returns {Promise<Outcome>}
   */
  apply(transition) {
    if (this.#closed) return Promise.reject(new Error(`the room is closed: ${this.#reason}`));
    /** @type {Promise<Outcome>} */
    const outcome = new Promise((resolve, reject) => {
      const json = JSON.stringify(transition);
      if (json === undefined) throw new TypeError("a transition must be a JSON value");
      this.#take({ json, resolve, reject });
    });
    // That a room was closed in the meantime is no error of whoever does not wait for the outcome.
    outcome.catch(() => {});
    return outcome;
  }

  /**
   * @param {Uint8Array | string} body
   * @returns {boolean}
   */
  signal(body) {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    const sent = this.#replica?.signal(bytes) ?? false;
    if (sent) this.#settle();
    return sent;
  }

  /**
   * @param {(room: Room) => void} subscriber
   * @returns {() => void}
   */
  subscribe(subscriber) {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  close() {
    this.#end(new Error("this page has closed it"));
  }

  /**
   * @param {string | undefined} key
   * @returns {string | Promise<string>}
   */
  #chooseKey(key) {
    if (key !== undefined) return key;
    const { http } = this.#address;
    if (joinedByTab.has(http)) return drawKey();
    joinedByTab.add(http);
    this.#usesTabKey = true;
    return keyOfThisTab();
  }

  /** @param {string | Promise<string>} key */
  async #start(key) {
    try {
      const [ownKey] = await Promise.all([key, (wasm ??= init({ module_or_path: WASM }))]);
      if (this.#closed) return;
      this.#replica = new Replica(ownKey);
      if (this.#connection.isOpen) this.#opened();
    } catch (error) {
      wasm = undefined;
      this.#end(new Error(`the client could not be started: ${error}`));
    }
  }

  #opened() {
    this.#wasOpen = true;
    this.#parted = false;
    this.#clock.begin();
    this.#replica?.handleConnected();
    this.#settle();
  }

  /**
   * Frames that arrive together are handled together: the pending transitions are applied again once, not once for each.
   * @param {Uint8Array} frame
   */
  #arrived(frame) {
    this.#frames.push(frame);
    if (this.#frames.length === 1) soon(() => this.#drain());
  }

  #lost() {
    // What came before the connection broke still counts, a goodbye above all.
    this.#drain();
    this.#replica?.handleDisconnected();
    this.#wasLive = false;
    if (!this.#wasOpen) this.#askWhy();
    this.#changed();
  }

  async #askWhy() {
    const why = await whyRefused(this.#address);
    if (why !== undefined && !this.#wasOpen) this.#end(new Error(why));
  }

  #drain() {
    if (this.#handleFrames()) this.#settle();
  }

  /** Gives the replica what has arrived; `false` when there was nothing. */
  #handleFrames() {
    const frames = this.#frames;
    if (frames.length === 0 || !this.#replica || this.#closed) return false;
    this.#frames = [];
    try {
      for (const frame of frames) this.#replica.handleFrame(frame);
      this.#clock.hear(this.#replica.hostTime());
    } catch (error) {
      this.#broken(error);
    }
    return true;
  }

  /** Deals with all that the replica has brought forth. */
  #settle() {
    const replica = this.#replica;
    if (!replica || this.#closed) return;
    const effects = new Effects();
    try {
      replica.drain(effects);
    } catch (error) {
      return this.#broken(error);
    }
    for (const frame of effects.frames) this.#connection.send(frame);
    for (const [number, outcome] of effects.outcomes) this.#decide(number, outcome);
    for (const { digest, seq, ours, theirs } of effects.divergences) {
      const { machine, room } = this.#address;
      console.warn(`reapply: ${machine}/${room} diverged at seq ${seq} under ${digest}: hash ${ours} here, ${theirs} in the room`);
    }
    if (effects.pongValue !== undefined) this.#measure(performance.now() - effects.pongValue / 1000);
    this.#changed();
    this.#followUp(replica);
    for (const signal of effects.signals) guarded(() => this.onsignal?.(signal));
  }

  /** What the replica's new condition asks for. @param {Replica} replica */
  #followUp(replica) {
    const digest = replica.needsMachine();
    if (digest !== undefined && digest !== this.#loading) this.#load(digest);
    const goodbye = replica.goodbye();
    if (goodbye !== undefined && !this.#parted) {
      this.#parted = true;
      if (!replica.mayRetry()) return this.#end(new Error(goodbye));
      this.#reason = goodbye;
      this.#connection.drop();
    }
    if (!replica.hasState()) return;
    const early = this.#early;
    this.#early = [];
    for (const waiter of early) this.#take(waiter);
    this.#resolveReady(this);
    if (replica.isLive() && !this.#wasLive) {
      this.#wasLive = true;
      this.#reason = undefined;
      this.#ping();
    }
  }

  /** Takes a transition on, or keeps it until there is a state. @param {Waiter} waiter */
  #take(waiter) {
    const replica = this.#replica;
    this.#handleFrames();
    if (!replica?.hasState() || this.#early.length > 0) {
      if (this.#early.length < EARLY_MAX) {
        this.#early.push(waiter);
      } else {
        const message = `${EARLY_MAX} transitions wait for the room already`;
        waiter.resolve({ status: "rejected", kind: "too-fast", message, predicted: true });
      }
      return this.#changed();
    }
    const effects = new Effects();
    let number = 0;
    try {
      number = replica.apply(waiter.json, this.now() * 1000, entropy(), effects);
    } catch (error) {
      waiter.reject(/** @type {Error} */ (error));
      return this.#broken(error);
    }
    if (number > 0) this.#undecided.set(number, waiter);
    for (const [, outcome] of effects.outcomes) waiter.resolve(outcome);
    this.#settle();
  }

  /**
   * @param {number} number
   * @param {Outcome} outcome
   */
  #decide(number, outcome) {
    this.#undecided.get(number)?.resolve(outcome);
    this.#undecided.delete(number);
  }

  /** @param {string} digest */
  async #load(digest) {
    this.#loading = digest;
    try {
      const component = await load(this.#address.base, digest);
      this.#loading = undefined;
      if (this.#closed) return;
      this.#replica?.handleMachine(digest, component);
    } catch (error) {
      this.#loading = undefined;
      if (this.#closed) return;
      if (error instanceof MachineError || error instanceof WebAssembly.RuntimeError) return this.#broken(error);
      this.#reason = `the machine could not be loaded: ${messageOf(error)}`;
      this.#connection.drop();
    }
    this.#settle();
  }

  #ping() {
    this.#replica?.ping(Math.round(performance.now() * 1000));
    this.#settle();
  }

  /** @param {number} latency_ms */
  #measure(latency_ms) {
    // The clock is coarse, and what was sent was rounded.
    latency_ms = Math.max(0, latency_ms);
    this.#latency ??= latency_ms;
    this.#latency += (latency_ms - this.#latency) * LATENCY_WEIGHT;
  }

  /**
   * Something does not work. What comes from outside may be right after a new connection; the client and the machine do not mend.
   * @param {unknown} error
   */
  #broken(error) {
    console.error(`reapply: ${this.#address.machine}/${this.#address.room}:`, error);
    const forGood = error instanceof MachineError || error instanceof WebAssembly.RuntimeError;
    if (forGood) {
      // Whatever is left of the replica is not to be relied on; the page keeps the last views.
      this.#replica = undefined;
      return this.#end(new Error(messageOf(error)));
    }
    this.#reason = messageOf(error);
    this.#connection.drop();
  }

  /** @param {Error} why */
  #end(why) {
    if (this.#closed) return;
    this.#closed = true;
    this.#reason = why.message;
    this.#connection.stop();
    if (this.#usesTabKey) joinedByTab.delete(this.#address.http);
    this.#rejectReady(why);
    for (const waiter of [...this.#undecided.values(), ...this.#early]) {
      waiter.reject(new Error(`the room was closed before this was decided: ${why.message}`));
    }
    this.#undecided.clear();
    this.#early = [];
    this.#changed();
  }

  /** Tells the subscribers, once for all changes of this tick. */
  #changed() {
    this.#views.expire();
    if (this.#mustNotify) return;
    this.#mustNotify = true;
    queueMicrotask(() => {
      this.#mustNotify = false;
      for (const subscriber of [...this.#subscribers]) guarded(() => subscriber(this));
    });
  }
}

/** A page's mistake is reported and does not break the room. @param {() => void} call */
function guarded(call) {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
