/** Joins a room at `/rooms/{machine}/{room}`: relative to the page, or absolute (`http(s):` or `ws(s):`). Whoever opens a room of another
 * host runs that host's code. */
export function connect<View = any, Transition = any, Conflict = any>(
  url: string | URL,
  options?: Options,
): Room<View, Transition, Conflict>;

export interface Options {
  /** The client's key, 32 hexadecimal digits: whoever holds it is that client. Left out, each tab has its own and keeps it over reloads; and a new
   * tab takes over that of a tab that was closed or crashed with something undelivered in this room. A room takes a key once: a second connection with
   * the same key replaces the first. (Where a page joins a room twice without giving keys, the second has one of its own.) */
  key?: string;
  /** Makes the connection, in place of `new WebSocket(url, protocol)`. */
  socket?: (url: string, protocol: string) => WebSocket;
  /** How long to wait before connecting again: at most `first_ms` at first, twice as much each time, never more than `max_ms`, and always a random
   * part of that. By default 250 and 15,000. */
  backoff?: { first_ms?: number; max_ms?: number };
}

/** `"live"`: shows the present. `"offline"`: cut off; goes on by itself. `"closed"`: for good, `reason` says why. */
export type Status = "connecting" | "live" | "offline" | "closed";

/** What became of a transition. */
export type Outcome<Conflict = any> =
  /** It is in the log, durably. */
  | { status: "accepted"; seq: number; time: Date }
  /** It was not applied. `predicted`: it was refused here already, and never sent. */
  | { status: "rejected"; kind: RejectionKind; message: string; conflict?: Conflict; predicted: boolean }
  /** It was decided while this page was away for long; the state includes it, unless the room rejected it and has forgotten. */
  | { status: "decided" }
  /** The client was away for so long that the room has forgotten it. This one may have been sent before: it may be in the log or not, and it is not
   * sent again. */
  | { status: "unknown" };

/** A transition of an earlier page: of this tab before a reload, or of a tab that was closed or crashed. */
export interface Returned<Transition = any, Conflict = any> {
  readonly transition: Transition;
  /** What became of it, now that it was delivered. */
  readonly outcome: Outcome<Conflict>;
  /** When it was made. */
  readonly time: Date;
}

/** A room as it was. */
export interface Moment<View = any> {
  /** The last event in it; 0 for the room's first state. */
  readonly seq: number;
  /** That event's time. */
  readonly time: Date;
  readonly view: View;
}

export type RejectionKind =
  | "conflict"
  | "malformed"
  | "exhausted"
  | "trapped"
  | "forbidden"
  | "too-large"
  | "too-fast"
  | "busy"
  | "not-ready"
  | "used-up"
  | "overfull"
  | "forgotten";

/** An ephemeral message: never logged, never applied. */
export interface Signal {
  readonly participant: string;
  readonly session: number;
  readonly body: Uint8Array;
}

export class Room<View = any, Transition = any, Conflict = any> {
  private constructor();

  /** Resolves when the room's present is here; rejects when the room cannot be joined. */
  readonly ready: Promise<this>;
  /** What the machine shows of the state after the pending transitions. The same object until it changes; not to be written to. */
  readonly view: View | undefined;
  /** What it shows of the state after the log. */
  readonly confirmed: View | undefined;
  /** How many transitions have no outcome yet, those of earlier pages included. */
  readonly pending: number;
  /** Whether transitions that have no outcome yet are kept in the browser, so that they arrive even if this page is closed or crashes. Not so over
   * plain http, where storage is forbidden, full or does not answer, and before the page has found out. While some are pending and are not kept, the browser
   * asks before it leaves the page. */
  readonly durable: boolean;
  readonly status: Status;
  /** Why the room is closed, or why this page is not in it now: the host's own words, or what could not be loaded. Nothing while `status` is `"live"`, and
   * where nobody has said why. */
  readonly reason: string | undefined;
  /** How much of the room's state has arrived, in bytes, while a large one comes in parts; nothing otherwise. What has arrived stays over lost
   * connections. The same object until it changes. */
  readonly progress: { readonly received: number; readonly bytes: number } | undefined;
  /** The last confirmed event. */
  readonly seq: number;
  /** Who this page's transitions are by, once the room has said so. */
  readonly participant: string | undefined;
  /** The participants, as far as the room names them; the same array until it changes. */
  readonly participants: readonly string[];
  /** How many participants there are. */
  readonly participantCount: number;
  /** The way to the host and back, in milliseconds, smoothed. */
  readonly latency: number | undefined;
  /** The host's time, in milliseconds since the Unix epoch, as well as it is known here. Predictions are made at this time, and countdowns should be. */
  now(): number;
  /** The build of the machine that runs here: the BLAKE3 digest of its component. */
  readonly digest: string | undefined;

  /** Asks for a transition. From `ready` on, `view` shows its effect before this returns; what comes earlier is kept and taken on then. Resolves to the
   * outcome, whatever it is; rejects only when the room is closed or the argument is no JSON value. */
  apply(transition: Transition): Promise<Outcome<Conflict>>;
  /** Called with each transition of an earlier page when it has its outcome, one by one; what had one before this was set comes at once. */
  onreturn: ((returned: Returned<Transition, Conflict>) => void) | null;
  /** The room as it was after an event, or at a time (as a text: RFC 3339, which is fine to the microsecond): made again in this page, by the builds
   * of the machine that were current then. Rejects when there is no such moment, or the host cannot be asked. */
  at(where: number | { time: Date | number | string }): Promise<Moment<View>>;
  /** Sends an ephemeral message to everyone in the room; `false` when it is over 1,024 bytes or there is no connection. */
  signal(body: Uint8Array | string): boolean;
  /** Called with each such message of the others. */
  onsignal: ((signal: Signal) => void) | null;
  /** Calls `subscriber` after every change of what can be read here, once for all changes of a tick; `latency` and `now()` change without a call. Returns
   * what ends that. Bound to the room: it can be handed on as it is. */
  readonly subscribe: (subscriber: (room: this) => void) => () => void;
  /** Leaves the room. Transitions without an outcome reject, though the room may still accept them: where `durable` says so they stay in the browser,
   * and are delivered when a page joins the room again. */
  close(): void;
}
