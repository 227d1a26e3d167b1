// @ts-check
// A room, as a page sees it: drives the replica, and turns what it brings forth into views, promises and calls.

import { addressOf } from "./address.js";
import { becomeClient } from "./client.js";
import { MachineError, load } from "./component.js";
import { Backoff, Connection } from "./connection.js";
import { Couriers } from "./courier.js";
import { Effects } from "./effects.js";
import { HostClock } from "./host-clock.js";
import { Letters, Subscribers, guardUnload, guarded } from "./notify.js";
import { Outbox } from "./outbox.js";
import { Past } from "./past.js";
import { Replica } from "./reapply_wasm.js";
import { soon } from "./runtime.js";
import { Latency, Replacements } from "./session.js";
import { start, startWhile } from "./start.js";
import { Transitions } from "./transitions.js";
import { Views } from "./views.js";

/**
 * @typedef {import("../reapply.d.ts").Options} Options
 * @typedef {import("../reapply.d.ts").Outcome} Outcome
 * @typedef {import("../reapply.d.ts").Returned} Returned
 * @typedef {import("../reapply.d.ts").Status} Status
 * @typedef {import("./client.js").Client} Client
 * @typedef {import("./transitions.js").Waiter} Waiter
 */

/** Frames that are kept until the replica is there. A room that was not greeted yet has nothing to say but why it does not let this page in. */
const EARLY_FRAMES_MAX = 8;

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
  /** Who this page is, once that is known. @type {Client | undefined} */
  #client;
  /** Gives up the client that this page is about to be. */
  #leave = () => {};
  #transitions = new Transitions((returned) => this.#returned.deliver(returned));
  /** What has become of the transitions of earlier pages. @type {Letters<Returned>} */
  #returned = new Letters();
  /** What earlier tabs have left is delivered beside. @type {Couriers | undefined} */
  #couriers;
  #outbox = new Outbox((frame) => this.#connection.send(frame));
  /** @type {Past | undefined} */
  #past;
  #views = new Views((why) => this.#viewFaulted(why), () => this.#subscribers.notify());
  /** @type {Subscribers<Room>} */
  #subscribers = new Subscribers(this);
  /** All that a subscriber may look at, as it was when they were called last. @type {unknown[]} */
  #seen = [];
  /** The digest of the build that is being loaded. @type {string | undefined} */
  #loading;
  #wasOpen = false;
  #wasLive = false;
  /** Whether the room was live once: from then on transitions are taken on. */
  #hasJoined = false;
  #replacements = new Replacements();
  /** Whether the room has ended the session that is still open. */
  #parted = false;
  #closed = false;
  #clock = new HostClock();
  /** @type {string | undefined} */
  #reason;
  #latency = new Latency();
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
   * @param {Client} [client] a client that is gone, whose transitions are delivered
   */
  constructor(url, options, client) {
    this.#address = addressOf(url);
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key)) {
      throw new TypeError("options.key must be 32 hexadecimal digits");
    }
    // Whoever does not wait for `ready` learns of its failure from `status` and `reason`.
    this.ready.catch(() => {});
    this.#connection = new Connection(this.#address.socket, options, {
      opened: () => this.#opened(),
      frame: (frame) => this.#arrived(frame),
      lost: (why) => this.#lost(why),
      failed: (why) => this.#failed(why),
      heartbeat: () => this.#ping(),
    });
    if (!client) this.#couriers = this.#hireCouriers(url, options);
    // However a key is written, its client has one queue and one lock.
    const becoming = client ? undefined : becomeClient(this.#address.name, options.key?.toLowerCase());
    this.#leave = becoming?.leave ?? this.#leave;
    this.#start(client ?? becoming?.client, new Backoff(options.backoff));
  }

  get view() {
    return this.pending === 0 ? this.confirmed : this.#views.optimistic(this.#replica);
  }

  get confirmed() {
    return this.#views.confirmed(this.#replica);
  }

  get pending() {
    return this.#transitions.held + (this.#replica?.pending() ?? 0);
  }

  get durable() {
    return this.#client?.queue.isDurable ?? false;
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
    return this.#latency.value_ms;
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
      this.#take({ entry: { order: 0, number: 0, json, time: this.now(), sent: false }, resolve, reject });
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
    this.#end(new Error("this page has closed it"));
  }

  /** @param {Client | Promise<Client> | undefined} becoming @param {Backoff} backoff */
  async #start(becoming, backoff) {
    try {
      const become = Promise.resolve(becoming).then((client) => client && this.#become(client));
      await Promise.all([become, startWhile(() => !this.#closed, backoff, (why) => this.#failed(why))]);
      if (this.#closed || !this.#client) return;
      const replica = new Replica(this.#client.key, this.#client.queue.base);
      this.#transitions.restore(replica);
      this.#replica = replica;
      if (!this.#connection.isOpen && this.#frames.length === 0) return this.#changed();
      this.#greet(replica);
      this.#drain();
      if (!this.#connection.isOpen) replica.handleDisconnected();
    } catch (error) {
      this.#end(new Error(`the client could not be started: ${messageOf(error)}`));
    }
  }

  /** Something that is tried again has failed. @param {unknown} why */
  #failed(why) {
    this.#reason = messageOf(why);
    this.#changed();
  }

  /** From here on what is asked for is kept, and what earlier pages have left is pending. @param {Client} client */
  #become(client) {
    if (this.#closed) return client.letGo();
    this.#client = client;
    this.#transitions.open(client.queue);
    client.onlost = () => this.#end(new Error("another page is this client now"));
    client.queue.onchange = () => this.#changed();
    this.#changed();
  }

  /** @param {string | URL} url @param {Options} options */
  #hireCouriers(url, options) {
    return new Couriers(this.#address.name, (client) => {
      const courier = new Room(url, options, client);
      courier.onreturn = (returned) => this.#returned.deliver(returned);
      return courier;
    });
  }

  #opened() {
    this.#wasOpen = true;
    // What an earlier connection has brought is not this one's.
    if (this.#replica) this.#greet(this.#replica);
    else this.#frames = [];
    this.#changed();
  }

  /** @param {Replica} replica */
  #greet(replica) {
    this.#parted = false;
    this.#clock.begin();
    replica.handleConnected();
    this.#settle();
  }

  /**
   * Frames that arrive together are handled together: the pending transitions are applied again once, not once for each.
   * @param {Uint8Array} frame
   */
  #arrived(frame) {
    if (!this.#replica && this.#frames.length >= EARLY_FRAMES_MAX) return this.#connection.drop();
    this.#frames.push(frame);
    if (this.#replica && this.#frames.length === 1) soon(() => this.#drain());
  }

  /** @param {string | undefined} why */
  #lost(why) {
    // What came before the connection broke still counts, a goodbye above all. A host of another version may say more in the close than here is read.
    this.#drain();
    if (why !== undefined && !this.#parted && !this.#closed) this.#reason = why;
    this.#replica?.handleDisconnected();
    this.#outbox.clear();
    this.#wasLive = false;
    this.#changed();
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
    this.#outbox.send(effects.frames, () => (replica.isJoined() ? this.#transitions.markSent() : undefined));
    for (const [number, outcome] of effects.outcomes) this.#transitions.decide(number, outcome);
    for (const { digest, seq, ours, theirs } of effects.divergences) {
      const { machine, room } = this.#address;
      console.warn(`reapply: ${machine}/${room} diverged at seq ${seq} under ${digest}: hash ${ours} here, ${theirs} in the room`);
    }
    if (effects.pongValue !== undefined) this.#latency.measure(effects.pongValue);
    this.#followUp(replica);
    this.#changed();
    for (const signal of effects.signals) guarded(() => this.onsignal?.(signal));
  }

  /** What the replica's new condition asks for. @param {Replica} replica */
  #followUp(replica) {
    const digest = replica.needsMachine();
    if (digest !== undefined && digest !== this.#loading) this.#load(digest);
    const goodbye = replica.goodbye();
    if (goodbye !== undefined && !this.#parted) {
      this.#parted = true;
      if (!this.#mayReturn(replica)) return this.#end(new Error(goodbye));
      this.#reason = goodbye;
      this.#connection.drop();
    }
    if (replica.isLive() && !this.#wasLive) {
      this.#wasLive = this.#hasJoined = true;
      this.#reason = undefined;
      this.#resolveReady(this);
      this.#couriers?.run();
      this.#ping();
    }
    if (this.#hasJoined && this.#transitions.held > 0 && replica.hasState() && !replica.isFull()) this.#release(replica);
  }

  /** Whether to connect again after the room has ended the session. @param {Replica} replica */
  #mayReturn(replica) {
    if (replica.mayRetry()) return true;
    return replica.wasReplaced() && (this.#client?.isOwn ?? false) && this.#replacements.mayReturn();
  }

  /** What was asked for before the room was joined is taken on now. @param {Replica} replica */
  #release(replica) {
    try {
      this.#transitions.release(replica, this.now() * 1000);
    } catch (error) {
      return this.#broken(error);
    }
    this.#settle();
  }

  /** Takes a transition on, or keeps it until the room is joined. @param {Waiter} waiter */
  #take(waiter) {
    this.#handleFrames();
    if (this.#closed) return waiter.reject(new Error(`the room is closed: ${this.#reason}`));
    const replica = this.#replica;
    if (!this.#hasJoined || !replica?.hasState() || this.#transitions.held > 0) {
      this.#transitions.hold(waiter);
      this.#changed();
      // The frames have been handled above: nobody else deals with what they have brought forth.
      return this.#settle();
    }
    try {
      this.#transitions.submit(replica, waiter, this.now() * 1000);
    } catch (error) {
      return this.#broken(error);
    }
    this.#settle();
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

  /** The machine has broken off in a view. The replica has it start again, from a snapshot of the room. @param {string} why */
  #viewFaulted(why) {
    const { machine, room } = this.#address;
    console.warn(`reapply: ${machine}/${room}: the view could not be made here, and stays as it was: ${why}`);
    // Whoever looks at a view may be in the middle of anything.
    soon(() => this.#settle());
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
    this.#couriers?.stop();
    this.#rejectReady(why);
    this.#transitions.abandon(new Error(`the room was closed before this was decided: ${why.message}`));
    if (this.#client) this.#client.letGo();
    else this.#leave();
    this.#changed();
  }

  /** Something may have changed: the views, or what a subscriber may look at besides. */
  #changed() {
    const states = this.#replica?.statesRevision();
    const rest = [this.status, this.reason, this.pending, this.durable, this.participant, this.#replica?.presenceRevision()];
    const seen = [states, ...rest];
    if (seen.length === this.#seen.length && seen.every((value, index) => value === this.#seen[index])) return;
    if (states !== this.#seen[0]) this.#views.expire();
    this.#seen = seen;
    guardUnload(this, this.pending > 0 && !this.durable && !this.#closed);
    this.#subscribers.notify();
  }
}

/** @param {unknown} error */
function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
