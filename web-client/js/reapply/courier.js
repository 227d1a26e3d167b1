// @ts-check
// Delivers what tabs that are gone have left in a room: one after the other, each in a session of its own and as the client that it was.

import { adoptOrphan } from "./client.js";
import { store } from "./store.js";

/** @typedef {import("./client.js").Client} Client */
/** @typedef {import("./room.js").Room} Room */

export class Couriers {
  #name;
  #join;
  /** @type {Room | undefined} */
  #courier;
  #isRunning = false;
  #stopped = false;
  /** A store that opens late may hold something, too. */
  #forget = store.whenOpen(() => this.#isWanted && this.run());
  #isWanted = false;

  /**
   * @param {string} name the room's
   * @param {(client: Client) => Room} join joins it as this client
   */
  constructor(name, join) {
    this.#name = name;
    this.#join = join;
  }

  /** Looks whether there is something to deliver, and delivers it. */
  async run() {
    this.#isWanted = true;
    if (this.#isRunning) return;
    this.#isRunning = true;
    /** @type {Set<string>} */
    const served = new Set();
    while (!this.#stopped) {
      const client = await adoptOrphan(this.#name, served);
      if (!client) break;
      served.add(client.key);
      if (this.#stopped) client.letGo();
      else await this.#deliver(client);
    }
    this.#isRunning = false;
  }

  stop() {
    this.#stopped = true;
    this.#forget();
    this.#courier?.close();
  }

  /** @param {Client} client @returns {Promise<void>} */
  #deliver(client) {
    const courier = (this.#courier = this.#join(client));
    return new Promise((resolve) => {
      courier.subscribe(() => {
        if (courier.status === "live" && courier.pending === 0) courier.close();
        if (courier.status === "closed") resolve();
      });
    });
  }
}
