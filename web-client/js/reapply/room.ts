// A room, as a page sees it: views, promises and calls. Its shell owns the driver, which decides everything.

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

/** Makes a room: nobody but `connect` does. */
let join: <View, Transition, Conflict>(url: string | URL, options: Options) => Room<View, Transition, Conflict>;

/** Joins a room at `/rooms/{machine}/{room}`: relative to the page, or absolute (`http(s):` or `ws(s):`). Whoever opens a room of another
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
  /** What was asked for before the client's code was loaded. */
  #early: [string, Waiter<Conflict>][] = [];
  /** Who waits for an outcome, by ticket. */
  readonly #waiters = new Map<number, Waiter<Conflict>>();
  /** What has become of the transitions of earlier pages. */
  readonly #returned = new Letters<Returned<Transition, Conflict>>();
  #past: Past<View> | undefined;
  readonly #views = new Views<View>((why) => this.#viewFaulted(why), () => this.#subscribers.notify());
  readonly #subscribers = new Subscribers<this>(this);
  /** The driver's revisions, as they were when something was last made of them. */
  readonly #seen = { all: 0, states: 0, presence: 0 };
  #closed = false;
  /** Why the room is closed, or why the client's code is not here. */
  #reason: string | undefined;
  #progress: { readonly received: number; readonly bytes: number } | undefined;
  #participants: readonly string[] = [];
  #resolveReady: (room: this) => void = () => {};
  #rejectReady: (error: Error) => void = () => {};

  static { join = (url, options) => new Room(url, options); }

  /** Resolves when the room's present is here; rejects when the room cannot be joined. */
  readonly ready: Promise<this> = new Promise((resolve, reject) => {
    this.#resolveReady = resolve;
    this.#rejectReady = reject;
  });

  /** Called with each ephemeral message of the others. */
  onsignal: ((signal: Signal) => void) | null = null;

  // `orphan` is a client that is gone, whose transitions are delivered.
  private constructor(url: string | URL, options: Options, orphan?: Client) {
    this.#url = url;
    this.#options = options;
    this.#address = addressOf(url);
    if (options.key !== undefined && !/^[0-9a-f]{32}$/i.test(options.key)) {
      throw new TypeError("options.key must be 32 hexadecimal digits");
    }
    // Whoever does not wait for `ready` learns of its failure from `status` and `reason`.
    this.ready.catch(() => {});
    this.#shell = new Shell(this.#address, options, this.#page);
    if (!orphan) this.#place = new Place(this.#address.name, options.key);
    this.#start(orphan);
  }

  /** What the machine shows of the state after the pending transitions. The same object until it changes; not to be written to. */
  get view(): View | undefined {
    return this.pending === 0 ? this.confirmed : this.#views.optimistic(this.#shell.driver);
  }

  /** What it shows of the state after the log. */
  get confirmed(): View | undefined {
    return this.#views.confirmed(this.#shell.driver);
  }

  /** How many transitions have no outcome yet, those of earlier pages included. */
  get pending(): number {
    return this.#shell.driver?.pending() ?? this.#early.length;
  }

  /** Whether transitions that have no outcome yet are kept in the browser, so that they arrive even if this page is closed or crashes. Not so over
   * plain http, where storage is forbidden, full or does not answer, and before the page has found out. While some are pending and are not kept, the browser
   * asks before it leaves the page. */
  get durable(): boolean {
    return this.#shell.driver?.isDurable() ?? false;
  }

  /** Called with each transition of an earlier page when it has its outcome, one by one; what had one before this was set comes at once. */
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

  /** Why the room is closed, or why this page is not in it now: the host's own words, or what could not be loaded. Nothing while `status` is `"live"`, and
   * where nobody has said why. */
  get reason(): string | undefined {
    return this.#shell.driver?.reason() ?? this.#reason;
  }

  /** How much of the room's state has arrived, in bytes, while a large one comes in parts; nothing otherwise. What has arrived stays over lost
   * connections. The same object until it changes. */
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

  /** Who this page's transitions are by, once the room has said so. */
  get participant(): string | undefined {
    return this.#shell.driver?.participant();
  }

  /** The participants, as far as the room names them; the same array until it changes. */
  get participants(): readonly string[] {
    const revision = this.#shell.driver?.presenceRevision() ?? 0;
    if (revision !== this.#seen.presence) this.#participants = this.#shell.driver?.participants() ?? [];
    this.#seen.presence = revision;
    return this.#participants;
  }

  /** How many participants there are. */
  get participantCount(): number {
    return this.#shell.driver?.participantCount() ?? 0;
  }

  /** The way to the host and back, in milliseconds, smoothed. */
  get latency(): number | undefined {
    return this.#shell.driver?.latency();
  }

  /** The build of the machine that runs here: the BLAKE3 digest of its component. */
  get digest(): string | undefined {
    return this.#shell.driver?.digest();
  }

  /** The host's time, in milliseconds since the Unix epoch, as well as it is known here. Predictions are made at this time, and countdowns should be. */
  now(): number {
    return this.#shell.driver?.now() ?? Date.now();
  }

  /** Asks for a transition. From `ready` on, `view` shows its effect before this returns; what comes earlier is kept and taken on then. Resolves to the
   * outcome, whatever it is; rejects only when the room is closed or the argument is no JSON value. */
  apply(transition: Transition): Promise<Outcome<Conflict>> {
    const outcome = new Promise<Outcome<Conflict>>((resolve, reject) => {
      if (this.#closed) throw new Error(`the room is closed: ${this.reason}`);
      const json: string | undefined = JSON.stringify(transition);
      if (json === undefined) throw new TypeError("a transition must be a JSON value");
      this.#take(json, { resolve, reject });
    });
    // That a room was closed in the meantime is not an error of whoever does not wait for the outcome.
    outcome.catch(() => {});
    return outcome;
  }

  /** Sends an ephemeral message to everyone in the room; `false` when it is over 1,024 bytes or there is no connection. */
  signal(body: Uint8Array | string): boolean {
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : body;
    return this.#shell.drive((driver) => driver.signal(bytes)) ?? false;
  }

  /** The room as it was after an event, or at a time (as a text: RFC 3339, which is fine to the microsecond): made again in this page, by the builds
   * of the machine that were current then. Rejects when there is no such moment, or the host cannot be asked. */
  async at(where: number | { time: Date | number | string }): Promise<Moment<View>> {
    await start();
    this.#past ??= new Past(this.#address);
    return this.#past.at(where);
  }

  /** Calls `subscriber` after every change of what can be read here, once for all changes of a tick; `latency` and `now()` change without a call. Returns
   * what ends that. Bound to the room: it can be handed on as it is. */
  readonly subscribe: (subscriber: (room: this) => void) => () => void = (subscriber) => this.#subscribers.add(subscriber);

  /** Leaves the room. Transitions without an outcome reject, though the room may still accept them: where `durable` says so they stay in the browser,
   * and are delivered when a page joins the room again. */
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

  /** The client's code could not be loaded. It is tried again. */
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

  /** What the shell tells. The machine's own JSON has the types that the page has said. */
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

  /** The machine has broken off in a view. The replica has it start again, from a snapshot of the room. */
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

  /** Something may have changed: the views, or what a subscriber may look at besides. */
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
