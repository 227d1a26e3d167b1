// The driver's effects. They are noted while the driver works, and performed afterwards, since none of them may call the driver back.

import type { Change } from "./store.js";
import type { Outcome, RejectionKind, Returned, Signal } from "./types.js";

/** The performer of effects. */
export interface Actor {
  connect(connection: number): void;
  disconnect(connection: number): void;
  send(connection: number, frame: Uint8Array<ArrayBuffer>): void;
  load(digest: string): void;
  write(write: number, changes: Change[]): void;
  openStore(): void;
  findOrphan(): void;
  warn(text: string): void;
  report(text: string): void;
}

/** The receiver of results. */
export interface Teller {
  decided(ticket: number, outcome: Outcome<unknown>): void;
  joined(): void;
  closed(why: string): void;
  /** May call the page's own code. */
  returned(returned: Returned<unknown, unknown>): void;
  /** May call the page's own code too. */
  signalled(signal: Signal): void;
}

export class Effects {
  readonly #first: ((actor: Actor, teller: Teller) => void)[] = [];
  readonly #last: ((teller: Teller) => void)[] = [];
  /** The changes of the next write. */
  #changes: Change[] = [];
  /** The transition of an earlier page that is decided next. */
  #returning: { json: string; time: Date } | undefined;

  /** Performs the effects. */
  perform(actor: Actor, teller: Teller): void {
    for (const effect of this.#first) effect(actor, teller);
  }

  /** Reports the results that may call the page's own code, which may do anything. */
  tell(teller: Teller): void {
    for (const effect of this.#last) effect(teller);
  }

  connect(connection: number): void {
    this.#first.push((actor) => actor.connect(connection));
  }

  disconnect(connection: number): void {
    this.#first.push((actor) => actor.disconnect(connection));
  }

  send(connection: number, frame: Uint8Array<ArrayBuffer>): void {
    this.#first.push((actor) => actor.send(connection, frame));
  }

  load(digest: string): void {
    this.#first.push((actor) => actor.load(digest));
  }

  put(order: number, number: number, json: string, time: number, head: number | undefined): void {
    this.#changes.push({ put: { order, number, json, time, sent: head !== undefined, head } });
  }

  delete(order: number): void {
    this.#changes.push({ delete: order });
  }

  reserve(last: number): void {
    this.#changes.push({ reserve: last });
  }

  write(write: number): void {
    const changes = this.#changes;
    this.#changes = [];
    this.#first.push((actor) => actor.write(write, changes));
  }

  openStore(): void {
    this.#first.push((actor) => actor.openStore());
  }

  accepted(ticket: number, seq: number, time_ms: number): void {
    this.#decide(ticket, { status: "accepted", seq, time: new Date(time_ms) });
  }

  rejected(ticket: number, kind: RejectionKind, message: string, conflict: string | undefined, predicted: boolean): void {
    const typed = conflict === undefined ? {} : { conflict: parse(conflict) };
    this.#decide(ticket, { status: "rejected", kind, message, predicted, ...typed });
  }

  decided(ticket: number): void {
    this.#decide(ticket, { status: "decided" });
  }

  unknown(ticket: number): void {
    this.#decide(ticket, { status: "unknown" });
  }

  /** Notes that the next decision is about a transition of an earlier page. */
  returned(json: string, time_ms: number): void {
    this.#returning = { json, time: new Date(time_ms) };
  }

  signal(participant: string, session: number, body: Uint8Array<ArrayBuffer>): void {
    this.#last.push((teller) => teller.signalled({ participant, session, body }));
  }

  joined(): void {
    this.#first.push((_, teller) => teller.joined());
  }

  findOrphan(): void {
    this.#first.push((actor) => actor.findOrphan());
  }

  diverged(seq: number, digest: string, ours: string, theirs: string): void {
    this.#first.push((actor) => actor.warn(`diverged at seq ${seq} under ${digest}: hash ${ours} here, ${theirs} in the room`));
  }

  report(why: string): void {
    this.#first.push((actor) => actor.report(why));
  }

  closed(why: string): void {
    this.#first.push((_, teller) => teller.closed(why));
  }

  #decide(ticket: number, outcome: Outcome<unknown>): void {
    const returning = this.#returning;
    this.#returning = undefined;
    if (!returning) this.#first.push((_, teller) => teller.decided(ticket, outcome));
    else this.#last.push((teller) => teller.returned({ transition: JSON.parse(returning.json), outcome, time: returning.time }));
  }
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch {
    // If the machine's conflict is not JSON, its text is passed on.
    return json;
  }
}
