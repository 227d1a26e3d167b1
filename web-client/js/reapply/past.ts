// Past states of a room, made again in this page: the host gives the nearest snapshot and the log from there, the machine does the rest.

import type { Address } from "./address.js";
import { load, whyNot } from "./component.js";
import { Moments } from "./reapply_wasm.js";
import { soon } from "./runtime.js";
import type { Moment } from "./types.js";

/** Events that are replayed before the page may do something else. */
const SLICE = 2_000;

/** An event, or a time. */
export type When = number | { time: Date | number | string };

/** What the host is asked for. */
type Asked = { seq: number } | { time: string };

export class Past<View> {
  readonly #address: Address;
  #moments = new Moments();
  /** What was asked for is made one after the other. */
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
      // A moment that was reached has a view.
      const view: View = JSON.parse(this.#moments.view()!);
      return { seq, time: new Date(this.#moments.time() / 1000), view };
    } catch (error) {
      // A machine that has broken off is of no use any more, and neither are its states.
      this.#moments = new Moments();
      throw error;
    }
  }

  /** Fetches what is missing for a moment, or the first part of it, and answers with the moment's seq. `held` is the last event before it that is here. */
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
  // A text is the host's to read: it may be finer than a Date.
  if (typeof where.time === "string") return { time: where.time };
  const time = new Date(where.time);
  if (Number.isNaN(time.getTime())) throw new RangeError(`${where.time} is no time`);
  return { time: time.toISOString() };
}
