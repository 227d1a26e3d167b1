// @ts-check
// Past states of a room, made again in this page: the host gives the nearest snapshot and the log from there, the machine does the rest.

import { load, whyNot } from "./component.js";
import { Moments } from "./reapply_wasm.js";
import { soon } from "./runtime.js";

/**
 * @typedef {import("./address.js").Address} Address
 * @typedef {import("../reapply.d.ts").Moment} Moment
 */

/** Events that are replayed before the page may do something else. */
const SLICE = 2_000;

export class Past {
  #address;
  #moments = new Moments();
  /** What was asked for is made one after the other. @type {Promise<unknown>} */
  #turn = Promise.resolve();

  /** @param {Address} address */
  constructor(address) {
    this.#address = address;
  }

  /**
   * @param {number | { time: Date | number | string }} where
   * @returns {Promise<Moment>}
   */
  at(where) {
    const asked = askedFor(where);
    const moment = this.#turn.then(() => this.#make(asked));
    this.#turn = moment.catch(() => {});
    return moment;
  }

  /** @param {{ seq: number } | { time: string }} asked @returns {Promise<Moment>} */
  async #make(asked) {
    let seq = "seq" in asked ? asked.seq : await this.#fetch(asked, undefined);
    while (!this.#moments.has(seq)) await this.#fetch({ seq }, this.#moments.nearest(seq));
    for (const digest of this.#moments.missingBuilds(seq)) {
      this.#moments.addBuild(digest, await load(this.#address.base, digest));
    }
    try {
      while (!this.#moments.replay(seq, SLICE)) await new Promise((resolve) => soon(() => resolve(undefined)));
      return { seq, time: new Date(this.#moments.time() / 1000), view: JSON.parse(this.#moments.view()) };
    } catch (error) {
      // A machine that has broken off is of no use any more, and neither are its states.
      this.#moments = new Moments();
      throw error;
    }
  }

  /**
   * Fetches what is missing for a moment, or the first part of it, and answers with the moment's seq.
   * @param {{ seq: number } | { time: string }} asked
   * @param {number | undefined} held the last event before it that is here
   * @returns {Promise<number>}
   */
  async #fetch(asked, held) {
    const url = new URL(this.#address.http);
    url.pathname += "/past";
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, String(value));
    if (held !== undefined) url.searchParams.set("held", String(held));
    const response = await fetch(url);
    if (!response.ok) throw new Error(await whyNot(response));
    return this.#moments.take(new Uint8Array(await response.arrayBuffer()), held);
  }
}

/** @param {number | { time: Date | number | string }} where @returns {{ seq: number } | { time: string }} */
function askedFor(where) {
  if (typeof where === "number") {
    if (!Number.isSafeInteger(where) || where < 0) throw new RangeError(`a seq is a whole number from 0, and not ${where}`);
    return { seq: where };
  }
  // A text is the host's to read: it may be finer than a Date.
  if (typeof where.time === "string") return { time: where.time };
  const time = new Date(where.time);
  if (Number.isNaN(time.getTime())) throw new RangeError(`${where.time} is no time`);
  return { time: time.toISOString() };
}
