// Past states of a room, rebuilt in this page: the host sends the nearest snapshot and the log from there, and the machine does the rest.

import type { Address } from "./address.js";
import { load, whyNot } from "./component.js";
import { Moments } from "./reapply_wasm.js";
import { soon } from "./runtime.js";
import type { Moment } from "./types.js";

/** The number of events that are replayed before the page may do something else. */
const SLICE = 2_000;

/** An event, or a time. */
export type When = number | { time: Date | number | string };

/** A request to the host. */
type Asked = { seq: number } | { time: string };

export class Past<View> {
  readonly #address: Address;
  #moments = new Moments();
  /** Resolves when the request before is done: moments are rebuilt one at a time. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(address: Address) {
    this.#address = address;
  }

  at(where: When): Promise<Moment<View>> {
    const asked = askedFor(where);
    const moment = this.#turn.then(() => this.#make(asked));
    this.#turn = moment.catch(() => {});
    return moment;
  }

  async #make(asked: Asked): Promise<Moment<View>> {
    const seq = "seq" in asked ? asked.seq : await this.#fetch(asked, undefined);
    while (!this.#moments.has(seq)) await this.#fetch({ seq }, this.#moments.nearest(seq));
    for (const digest of this.#moments.missingBuilds(seq)) {
      this.#moments.addBuild(digest, await load(this.#address.base, digest));
    }
    try {
      while (!this.#moments.replay(seq, SLICE)) await new Promise<void>((resolve) => soon(resolve));
      // A moment that was replayed has a view.
      const view: View = JSON.parse(this.#moments.view()!);
      return { seq, time: new Date(this.#moments.time() / 1000), view };
    } catch (error) {
      // A machine that has faulted is useless, and so are its states.
      this.#moments = new Moments();
      throw error;
    }
  }

  /** Fetches the missing records of a moment, or the first part of them, and returns the moment's seq. `held` is the last event before it that
   * is known here. */
  async #fetch(asked: Asked, held: number | undefined): Promise<number> {
    const url = new URL(this.#address.http);
    url.pathname += "/past";
    for (const [name, value] of Object.entries(asked)) url.searchParams.set(name, String(value));
    if (held !== undefined) url.searchParams.set("held", String(held));
    const response = await fetch(url);
    if (!response.ok) throw new Error(await whyNot(response));
    return this.#moments.take(new Uint8Array(await response.arrayBuffer()), held);
  }
}

function askedFor(where: When): Asked {
  if (typeof where === "number") {
    if (!Number.isSafeInteger(where) || where < 0) throw new RangeError(`a seq is a whole number from 0, and not ${where}`);
    return { seq: where };
  }
  // The host reads a text itself, since it may be more precise than a Date.
  if (typeof where.time === "string") return { time: where.time };
  const time = new Date(where.time);
  if (Number.isNaN(time.getTime())) throw new RangeError(`${where.time} is not a time`);
  return { time: time.toISOString() };
}
