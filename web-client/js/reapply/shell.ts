// Owns a room's driver, and performs its effects: sockets, writes, timers, and the delivery of transitions that other tabs have left.

import type { Address } from "./address.js";
import { adopt } from "./client.js";
import type { Client } from "./client.js";
import { MachineError, load } from "./component.js";
import { Effects } from "./effects.js";
import type { Actor, Teller } from "./effects.js";
import { hasLocks } from "./locks.js";
import { Driver } from "./reapply_wasm.js";
import { Alarm, messageOf, soon, whenBack } from "./runtime.js";
import { Socket } from "./socket.js";
import { NoAnswer, store, warn } from "./store.js";
import type { Change } from "./store.js";
import type { Options } from "./types.js";

/** The room's API for a page, which the shell reports to. */
export interface Page extends Teller {
  /** Something that a page can see may have changed. */
  changed(): void;
  /** Joins the room as another client, whose transitions are delivered. */
  deliver(client: Client, closed: () => void): Courier;
}

/** A room that was joined to deliver the transitions that another tab has left. */
export interface Courier {
  close(): void;
}

export class Shell {
  readonly #address: Address;
  readonly #options: Options;
  readonly #page: Page;
  /** The driver; `undefined` until the client's code is loaded, and after it has failed. */
  #driver: Driver | undefined;
  /** This page's client, once it is known. */
  #client: Client | undefined;
  /** The first connection, which is opened while the code is being loaded. */
  #firstSocket: Socket | undefined;
  readonly #sockets = new Map<number, Socket>();
  /** The room that delivers the transitions of another tab. */
  #courier: Courier | undefined;
  readonly #alarm = new Alarm(() => this.drive((driver) => driver.handleTimer()));
  readonly #leaveStore = store.watch({
    opened: () => this.drive((driver) => driver.handleStoreOpened()),
    closed: () => this.drive((driver) => driver.handleStoreClosed()),
  });
  readonly #ignoreWakes = whenBack(() => this.drive((driver) => driver.handleWake()));
  #isDrainDue = false;
  #isEnded = false;

  constructor(address: Address, options: Options, page: Page) {
    this.#address = address;
    this.#options = options;
    this.#page = page;
    this.#firstSocket = new Socket(address.socket, options);
  }

  /** The driver, for reading. */
  get driver(): Driver | undefined {
    return this.#driver;
  }

  /** Starts the driver, once the client's code is loaded. */
  begin(isCourier: boolean): void {
    const { first_ms, max_ms } = this.#options.backoff ?? {};
    this.#driver = new Driver(isCourier, first_ms, max_ms);
    this.drive(() => {});
  }

  /** Gives the driver its client. From now on transitions are stored, and those that earlier pages have left are pending. */
  become(client: Client): void {
    if (this.#isEnded) return client.letGo();
    this.#client = client;
    // If another page has it by now, it must not be used here at all.
    client.onlost = () => this.drive((driver) => driver.handleIdentityLost());
    this.drive((driver) => {
      driver.handleIdentity(client.arrival);
      if (store.isOpen) driver.handleStoreOpened();
    });
  }

  /** Calls the driver, and performs the effects. */
  drive<T>(act: (driver: Driver) => T, drain: () => void = () => this.#drain()): T | undefined {
    if (!this.#driver || this.#isEnded) return undefined;
    try {
      const result = act(this.#driver);
      drain();
      return result;
    } catch (error) {
      // The driver may be in any state, so it is not used again. The page keeps the last views.
      this.#report(error);
      this.#driver = undefined;
      this.#page.closed(messageOf(error));
      return undefined;
    }
  }

  /** Performs the driver's effects in a later task, so that running code is not interrupted. */
  drainSoon(): void {
    if (this.#isDrainDue) return;
    this.#isDrainDue = true;
    soon(() => {
      this.#isDrainDue = false;
      this.drive(() => {});
    });
  }

  /** Ends the shell. */
  end(): void {
    this.#isEnded = true;
    this.#alarm.set(undefined);
    this.#leaveStore();
    this.#ignoreWakes();
    this.#firstSocket?.close();
    for (const socket of this.#sockets.values()) socket.close();
    this.#courier?.close();
    this.#client?.letGo();
  }

  /** Performs all effects of the driver. */
  #drain(): void {
    if (!this.#driver) return;
    const effects = new Effects();
    this.#driver.drain(effects);
    effects.perform(this.#actor, this.#page);
    if (!this.#isEnded) this.#alarm.set(this.#driver?.wakeAt());
    this.#page.changed();
    effects.tell(this.#page);
  }

  readonly #actor: Actor = {
    connect: (connection) => {
      const socket = this.#firstSocket ?? new Socket(this.#address.socket, this.#options);
      this.#firstSocket = undefined;
      this.#sockets.set(connection, socket);
      // The driver is told about earlier events of the socket when it no longer works.
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

  #listen(connection: number, socket: Socket): void {
    socket.listen({
      opened: () => this.drive((driver) => driver.handleOpened(connection)),
      // Frames that arrive together are handled together, so that the pending transitions are applied again only once for all of them.
      frame: (frame) => this.drive((driver) => driver.handleFrame(connection, frame), () => this.drainSoon()),
      nonsense: () => this.drive((driver) => driver.handleNonsense(connection)),
      lost: (why) => {
        this.#forget(connection);
        this.drive((driver) => driver.handleLost(connection, why));
      },
    });
  }

  #forget(connection: number): void {
    this.#sockets.get(connection)?.close();
    this.#sockets.delete(connection);
  }

  async #load(digest: string): Promise<void> {
    try {
      const component = await load(this.#address.base, digest);
      this.drive((driver) => driver.handleMachine(digest, component));
    } catch (error) {
      const isFinal = error instanceof MachineError || error instanceof WebAssembly.RuntimeError;
      if (isFinal && !this.#isEnded) this.#report(error);
      this.drive((driver) => driver.handleMachineFailed(digest, messageOf(error), isFinal));
    }
  }

  async #write(write: number, changes: Change[]): Promise<void> {
    const { key = "", isGiven: given = false } = this.#client ?? {};
    let isWritten: boolean | undefined = true;
    try {
      await store.write({ room: this.#address.name, key, given }, changes);
    } catch (error) {
      warn(error);
      isWritten = error instanceof NoAnswer ? undefined : false;
    }
    this.drive((driver) => driver.handleWritten(write, isWritten));
  }

  async #openStore(): Promise<void> {
    // If the store opens later, its watchers are told.
    const wasOpen = store.isOpen;
    const isOpen = await store.open();
    if (wasOpen) this.drive((driver) => driver.handleStoreOpened());
    else if (!isOpen) this.drive((driver) => driver.handleStoreClosed());
  }

  async #findOrphan(): Promise<void> {
    const arrival = this.#driver?.seekOrphan(hasLocks);
    const orphan = arrival && (await adopt(arrival, this.#address.name));
    if (this.#isEnded) return orphan?.letGo();
    this.drive((driver) => driver.handleOrphan(orphan?.key));
    if (orphan) this.#courier = this.#page.deliver(orphan, () => this.drive((driver) => driver.handleDelivered()));
  }

  #report(error: unknown): void {
    console.error(`reapply: ${this.#address.machine}/${this.#address.room}:`, error);
  }
}
