// The room's API for a page: views, promises and calls. The room's shell owns the driver, which decides everything.

import { addressOf } from "./address.js";
import type { Address } from "./address.js";
import { Place } from "./client.js";
import type { Client } from "./client.js";
import { Letters, Subscribers, guardUnload, guarded } from "./notify.js";
import { Past } from "./past.js";
import { messageOf } from "./runtime.js";
import { Shell } from "./shell.js";
import type { Page } from "./shell.js";
import { start, startWhile } from "./start.js";
import type { Moment, Options, Outcome, Returned, Signal, Status } from "./types.js";
import { Views } from "./views.js";

/** Creates a room. Only `connect` calls it. */
let join: <View, Transition, Conflict>(url: string | URL, options: Options) => Room<View, Transition, Conflict>;

/** Joins a room at `/rooms/{machine}/{room}`: relative to the page, or absolute (`http(s):` or `ws(s):`). A page that opens a room of another
 * host runs that host's code. */
export function connect<View = any, Transition = any, Conflict = any>(
  url: string | URL,
  options: Options = {},
): Room<View, Transition, Conflict> {
  return join(url, options);
}

type Waiter<Conflict> = { resolve: (outcome: Outcome<Conflict>) => void; reject: (error: Error) => void };

export class Room<View = any, Transition = any, Conflict = any> {
  readonly #url: string | URL;
  readonly #options: Options;
  readonly #address: Address;
  readonly #shell: Shell;
  #place: Place | undefined;
  /** Transitions from before the client's code was loaded. */
  #early: [string, Waiter<Conflict>][] = [];
  /** The promises that wait for an outcome, by ticket. */
  readonly #waiters = new Map<number, Waiter<Conflict>>();
  /** The outcomes of transitions of earlier pages. */
  readonly #returned = new Letters<Returned<Transition, Conflict>>();
  #past: Past<View> | undefined;
  readonly #views = new Views<View>((why) => this.#viewFaulted(why), () => this.#subscribers.notify());
  readonly #subscribers = new Subscribers<this>(this);
  /** The driver's revisions that were last handled. */
  readonly #seen = { all: 0, states: 0, presence: 0 };
  #closed = false;
  /** The reason why the room is closed, or why the client's code is missing. */
  #reason: string | undefined;
  #progress: { readonly received: number; readonly bytes: number } | undefined;
  #participants: readonly string[] = [];
  #resolveReady: (room: this) => void = () => {};
  #rejectReady: (error: Error) => void = () => {};

  static { join = (url, options) => new Room(url, options); }

  /** Resolves when the room's present state has arrived; rejects when the room cannot be joined. */
  readonly ready: Promise<this> = new Promise((resolve, reject) => {
    this.#resolveReady = resolve;
    this.#rejectReady = reject;
  });

  /** Called with each ephemeral message of the other sessions. */
  onsignal: ((signal: Signal) => void) | null = null;

  // `orphan` is the client of a page that is gone; this room delivers its transitions.
  private constructor(url: string | URL, options: Options, orphan?: Client) {
    this.#url = url;
    this.#options = options;
    this.#address = addressOf(url);
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key)) {
      throw new TypeError("options.key must be 32 hexadecimal digits");
    }
    // A page that does not wait for `ready` sees the failure in `status` and `reason`.
    this.ready.catch(() => {});
    this.#shell = new Shell(this.#address, options, this.#page);
    if (!orphan) this.#place = new Place(this.#address.name, options.key);
    this.#start(orphan);
  }

  /** The machine's view of the state after the pending transitions. It stays the same object until it changes. Do not write to it. */
  get view(): View | undefined {
    return this.pending === 0 ? this.confirmed : this.#views.optimistic(this.#shell.driver);
  }

  /** The machine's view of the state after the log. */
  get confirmed(): View | undefined {
    return this.#views.confirmed(this.#shell.driver);
  }

  /** The number of transitions without an outcome, including those of earlier pages. */
  get pending(): number {
    return this.#shell.driver?.pending() ?? this.#early.length;
  }

  /** Whether transitions without an outcome are stored in the browser, so that they arrive even if this page is closed or crashes. They are not
   * stored
   * over plain http, if storage is forbidden, full or does not answer, and until the page has found that out. While there are pending
   * transitions that
   * are not stored, the browser asks before it leaves the page. */
  get durable(): boolean {
    return this.#shell.driver?.isDurable() ?? false;
  }

  /** Called with each transition of an earlier page when it has its outcome, one at a time. Transitions that had theirs before this was set
   * follow at once. */
  get onreturn(): ((returned: Returned<Transition, Conflict>) => void) | null {
    return this.#returned.reader;
  }

  set onreturn(reader: ((returned: Returned<Transition, Conflict>) => void) | null) {
    this.#returned.reader = reader;
  }

  get status(): Status {
    if (this.#closed) return "closed";
    return this.#shell.driver?.status() ?? "connecting";
  }

  /** The reason why the room is closed, or why this page is not connected: the host's message, or the part that could not be loaded. `undefined`
   * while
   * `status` is `"live"`, and if no reason is known. */
  get reason(): string | undefined {
    return this.#shell.driver?.reason() ?? this.#reason;
  }

  /** The number of bytes of the room's state that have arrived, and the total, while a large state arrives in parts; `undefined` otherwise.
   * Parts that
   * have arrived survive a lost connection. It stays the same object until it changes. */
  get progress(): { readonly received: number; readonly bytes: number } | undefined {
    const [received, bytes] = this.#shell.driver?.arriving() ?? [];
    if (received === undefined || bytes === undefined) return (this.#progress = undefined);
    if (this.#progress?.received !== received || this.#progress.bytes !== bytes) this.#progress = { received, bytes };
    return this.#progress;
  }

  /** The last confirmed event. */
  get seq(): number {
    return this.#shell.driver?.seq() ?? 0;
  }

  /** The author of this page's transitions, once the room has told it. */
  get participant(): string | undefined {
    return this.#shell.driver?.participant();
  }

  /** The participants, as far as the room names them. It stays the same array until it changes. */
  get participants(): readonly string[] {
    const revision = this.#shell.driver?.presenceRevision() ?? 0;
    if (revision !== this.#seen.presence) this.#participants = this.#shell.driver?.participants() ?? [];
    this.#seen.presence = revision;
    return this.#participants;
  }

  /** The number of participants. */
  get participantCount(): number {
    return this.#shell.driver?.participantCount() ?? 0;
  }

  /** The round-trip time to the host in milliseconds, smoothed. */
  get latency(): number | undefined {
    return this.#shell.driver?.latency();
  }

  /** The digest of the build that runs here: BLAKE3 of its component. */
  get digest(): string | undefined {
    return this.#shell.driver?.digest();
  }

  /** Returns the host's time in milliseconds since the Unix epoch, as precisely as this page knows it. Predictions use this time, and countdowns
   * should too. */
  now(): number {
    return this.#shell.driver?.now() ?? Date.now();
  }

  /** Submits a transition. After `ready`, `view` shows its effect before this returns. Earlier transitions are kept, and submitted then.
   * Resolves to the
   * outcome, accepted or not. Rejects only when the room is closed or the argument is not a JSON value. */
  apply(transition: Transition): Promise<Outcome<Conflict>> {
    const outcome = new Promise<Outcome<Conflict>>((resolve, reject) => {
      if (this.#closed) throw new Error(`the room is closed: ${this.reason}`);
      const json: string | undefined = JSON.stringify(transition);
      if (json === undefined) throw new TypeError("a transition must be a JSON value");
      this.#take(json, { resolve, reject });
    });
    // If the page does not wait for the outcome, a room that was closed in the meantime is not an error.
    outcome.catch(() => {});
    return outcome;
  }

  /** Sends an ephemeral message to the other sessions in the room. Returns `false` if it is over 1,024 bytes or there is no connection. */
  signal(body: Uint8Array | string): boolean {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return this.#shell.drive((driver) => driver.signal(bytes)) ?? false;
  }

  /** Returns the room as it was after an event, or at a time (a text is RFC 3339, with up to microseconds). The moment is rebuilt in this page,
   * by the
   * builds of the machine that were current then. Rejects when there is no such moment, or the host does not answer. */
  async at(where: number | { time: Date | number | string }): Promise<Moment<View>> {
    await start();
    this.#past ??= new Past(this.#address);
    return this.#past.at(where);
  }

  /** Calls `subscriber` after every change of this room's properties, once for all changes of a tick. `latency` and `now()` change without a
   * call. Returns
   * a function that ends the subscription. `subscribe` is bound to the room, so it can be passed on as a function. */
  readonly subscribe: (subscriber: (room: this) => void) => () => void = (subscriber) => this.#subscribers.add(subscriber);

  /** Leaves the room. The promises of transitions without an outcome reject, although the room may still accept them. If `durable` is true, the
   * transitions stay in the browser, and are delivered when a page joins the room again. */
  close(): void {
    if (this.#shell.driver) this.#shell.drive((driver) => driver.handleClose());
    else this.#end("this page has closed it");
  }

  async #start(orphan?: Client): Promise<void> {
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

  /** Notes that the client's code could not be loaded. Another attempt follows. */
  #failed(why: string): void {
    this.#reason = why;
    this.#subscribers.notify();
  }

  #take(json: string, waiter: Waiter<Conflict>): void {
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

  /** The receiver of the shell's results. The machine's JSON has the types that the page has declared. */
  readonly #page: Page = {
    changed: () => this.#changed(),
    joined: () => this.#resolveReady(this),
    decided: (ticket, outcome) => {
      this.#waiters.get(ticket)?.resolve(outcome as Outcome<Conflict>);
      this.#waiters.delete(ticket);
    },
    returned: (returned) => this.#returned.deliver(returned as Returned<Transition, Conflict>),
    signalled: (signal) => guarded(() => this.onsignal?.(signal)),
    deliver: (client, closed) => {
      const courier = new Room<View, Transition, Conflict>(this.#url, this.#options, client);
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

  /** Handles a fault of the machine in a view. The replica starts it again, from a snapshot of the room. */
  #viewFaulted(why: string): void {
    const { machine, room } = this.#address;
    console.warn(`reapply: ${machine}/${room}: the view could not be made here, and stays as it was: ${why}`);
    this.#shell.drainSoon();
  }

  #end(why: string): void {
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

  /** Handles a possible change of the views, or of other properties. */
  #changed(): void {
    const driver = this.#shell.driver;
    if (!driver || driver.revision() === this.#seen.all) return;
    if (driver.statesRevision() !== this.#seen.states) this.#views.expire();
    this.#seen.all = driver.revision();
    this.#seen.states = driver.statesRevision();
    guardUnload(this, driver.pending() > 0 && !driver.isDurable() && !this.#closed);
    this.#subscribers.notify();
  }
}
