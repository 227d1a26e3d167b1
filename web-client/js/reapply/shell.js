// @ts-check
// Owns a room's driver, and does what it asks for: sockets, writes, timers, and the delivery of what other tabs have left.

import { adopt } from "./client.js";
import { MachineError, load } from "./component.js";
import { Effects } from "./effects.js";
import { hasLocks } from "./locks.js";
import { Driver } from "./reapply_wasm.js";
import { Alarm, messageOf, soon, whenBack } from "./runtime.js";
import { Socket } from "./socket.js";
import { NoAnswer, store, warn } from "./store.js";

/**
 * @typedef {import("../reapply.d.ts").Options} Options
 * @typedef {import("./address.js").Address} Address
 * @typedef {import("./client.js").Client} Client
 * @typedef {import("./effects.js").Teller} Teller
 */

/**
 * Whoever looks at the room.
 * @typedef {object} Page
 * @property {() => void} changed something may have changed that can be looked at
 * @property {(client: Client, closed: () => void) => { close: () => void }} deliver joins the room as another client, whose transitions are delivered
 */

export class Shell {
  #address;
  #options;
  /** @type {Page & Teller} */
  #page;
  /** Nothing until the client's code is loaded, and after it has broken off. @type {Driver | undefined} */
  #driver;
  /** Who this page is, once that is known. @type {Client | undefined} */
  #client;
  /** The first connection is opened while the code is being loaded. @type {Socket | undefined} */
  #firstSocket;
  /** @type {Map<number, Socket>} */
  #sockets = new Map();
  /** What another tab has left is delivered beside. @type {{ close: () => void } | undefined} */
  #courier;
  #alarm = new Alarm(() => this.drive((driver) => driver.handleTimer()));
  #leaveStore = store.watch({
    opened: () => this.drive((driver) => driver.handleStoreOpened()),
    closed: () => this.drive((driver) => driver.handleStoreClosed()),
  });
  #ignoreWakes = whenBack(() => this.drive((driver) => driver.handleWake()));
  #isDrainDue = false;
  #isEnded = false;

  /** @param {Address} address @param {Options} options @param {Page & Teller} page */
  constructor(address, options, page) {
    this.#address = address;
    this.#options = options;
    this.#page = page;
    this.#firstSocket = new Socket(address.socket, options);
  }

  /** The driver, to look at. */
  get driver() {
    return this.#driver;
  }

  /** The client's code is loaded. @param {boolean} isCourier */
  begin(isCourier) {
    const { first_ms, max_ms } = this.#options.backoff ?? {};
    this.#driver = new Driver(isCourier, first_ms, max_ms);
    this.drive(() => {});
  }

  /** From here on what is asked for is kept, and what earlier pages have left is pending. @param {Client} client */
  become(client) {
    if (this.#isEnded) return client.letGo();
    this.#client = client;
    // Where another page has it by now, it must not be used here at all.
    client.onlost = () => this.drive((driver) => driver.handleIdentityLost());
    this.drive((driver) => {
      driver.handleIdentity(client.arrival);
      if (store.isOpen) driver.handleStoreOpened();
    });
  }

  /**
   * Has the driver do something, and deals with what it brings forth.
   * @template T
   * @param {(driver: Driver) => T} act
   * @param {() => void} [drain]
   * @returns {T | undefined}
   */
  drive(act, drain = () => this.#drain()) {
    if (!this.#driver || this.#isEnded) return undefined;
    try {
      const result = act(this.#driver);
      drain();
      return result;
    } catch (error) {
      // Whatever is left of the driver is not to be relied on; the page keeps the last views.
      this.#report(error);
      this.#driver = undefined;
      this.#page.closed(messageOf(error));
    }
  }

  /** Has the driver deal with what it was given, though nobody says so: whoever is at work must not be disturbed. */
  drainSoon() {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    soon(() => {
      this.#isDrainDue = false;
      this.drive(() => {});
    });
  }

  /** It is all over. */
  end() {
    this.#isEnded = true;
    this.#alarm.set(undefined);
    this.#leaveStore();
    this.#ignoreWakes();
    this.#firstSocket?.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#courier?.close();
    this.#client?.letGo();
  }

  /** Does all that the driver asks for. */
  #drain() {
    if (!this.#driver) return;
    const effects = new Effects();
    this.#driver.drain(effects);
    effects.perform(this.#actor, this.#page);
    if (!this.#isEnded) this.#alarm.set(this.#driver?.wakeAt());
    this.#page.changed();
    effects.tell(this.#page);
  }

  /** @type {import("./effects.js").Actor} */
  #actor = {
    connect: (connection) => {
      const socket = this.#firstSocket ?? new Socket(this.#address.socket, this.#options);
      this.#firstSocket = undefined;
      this.#sockets.set(connection, socket);
      // The driver hears of what has happened already when it is not at work any more.
      queueMicrotask(() => this.#listen(connection, socket));
    },
    disconnect: (connection) => this.#forget(connection),
    send: (connection, frame) => this.#sockets.get(connection)?.send(frame),
    load: (digest) => this.#load(digest),
    write: (write, changes) => this.#write(write, changes),
    openStore: () => this.#openStore(),
    findOrphan: () => this.#findOrphan(),
    warn: (text) => console.warn(`reapply: ${this.#address.machine}/${this.#address.room} ${text}`),
    report: (text) => this.#report(text),
  };

  /** @param {number} connection @param {Socket} socket */
  #listen(connection, socket) {
    socket.listen({
      opened: () => this.drive((driver) => driver.handleOpened(connection)),
      // Frames that arrive together are handled together: the pending transitions are applied again once, not once for each.
      frame: (frame) => this.drive((driver) => driver.handleFrame(connection, frame), () => this.drainSoon()),
      nonsense: () => this.drive((driver) => driver.handleNonsense(connection)),
      lost: (why) => {
        this.#forget(connection);
        this.drive((driver) => driver.handleLost(connection, why));
      },
    });
  }

  /** @param {number} connection */
  #forget(connection) {
    this.#sockets.get(connection)?.close();
    this.#sockets.delete(connection);
  }

  /** @param {string} digest */
  async #load(digest) {
    try {
      const component = await load(this.#address.base, digest);
      this.drive((driver) => driver.handleMachine(digest, component));
    } catch (error) {
      const isFinal = error instanceof MachineError || error instanceof WebAssembly.RuntimeError;
      if (isFinal && !this.#isEnded) this.#report(error);
      this.drive((driver) => driver.handleMachineFailed(digest, messageOf(error), isFinal));
    }
  }

  /** @param {number} write @param {import("./store.js").Change[]} changes */
  async #write(write, changes) {
    const { key = "", isGiven: given = false } = this.#client ?? {};
    /** @type {boolean | undefined} */
    let isWritten = true;
    try {
      await store.write({ room: this.#address.name, key, given }, changes);
    } catch (error) {
      warn(error);
      isWritten = error instanceof NoAnswer ? undefined : false;
    }
    this.drive((driver) => driver.handleWritten(write, isWritten));
  }

  async #openStore() {
    // Where it opens now, its watchers are told.
    const wasOpen = store.isOpen;
    const isOpen = await store.open();
    if (wasOpen) this.drive((driver) => driver.handleStoreOpened());
    else if (!isOpen) this.drive((driver) => driver.handleStoreClosed());
  }

  async #findOrphan() {
    const arrival = this.#driver?.seekOrphan(hasLocks);
    const orphan = arrival && (await adopt(arrival, this.#address.name));
    if (this.#isEnded) return orphan?.letGo();
    this.drive((driver) => driver.handleOrphan(orphan?.key));
    if (orphan) this.#courier = this.#page.deliver(orphan, () => this.drive((driver) => driver.handleDelivered()));
  }

  /** @param {unknown} error */
  #report(error) {
    console.error(`reapply: ${this.#address.machine}/${this.#address.room}:`, error);
  }
}
