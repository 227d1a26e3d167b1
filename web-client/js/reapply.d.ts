/** Joins a room at `/rooms/{machine}/{room}`: relative to the page, or absolute (`http(s):` or `ws(s):`). Whoever opens a room of another
 * host runs that host's code. */
export function connect<View = any, Transition = any, Conflict = any>(
  url: string | URL,
  options?: Options,
): Room<View, Transition, Conflict>;

export interface Options {
  /** The client's key, 32 hexadecimal digits: whoever holds it is that client. Left out, each tab has its own and keeps it over reloads. A room takes
   * a key once: a second connection with the same key replaces the first. (Where a page joins a room twice without giving keys, the second has one of its own.) */
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
  /** It was sent long ago, and the room has forgotten this client since. It is not sent again, so that nothing is applied twice. */
  | { status: "unknown" };

export type RejectionKind =
  | "conflict"
  | "malformed"
  | "exhausted"
  | "trapped"
  | "forbidden"
  | "too-large"
  | "too-fast"
  | "forgotten";

/** An ephemeral message: never logged, never applied. */
export interface Signal {
  readonly participant: string;
  readonly session: number;
  readonly body: Uint8Array;
}

export class Room<View = any, Transition = any, Conflict = any> {
  private constructor();

  /** Resolves when the first state is here; rejects when the room cannot be joined. */
  readonly ready: Promise<this>;
  /** What the machine shows of the state after the pending transitions. The same object until it changes; not to be written to. */
  readonly view: View | undefined;
  /** What it shows of the state after the log. */
  readonly confirmed: View | undefined;
  /** How many transitions have no outcome yet. */
  readonly pending: number;
  readonly status: Status;
  /** Why the room is closed, or was cut off, where that is known. */
  readonly reason: string | undefined;
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

  /** Asks for a transition. Once there is a state, `view` shows its effect before this returns. Resolves to the outcome, whatever it is; rejects
   * only when the room is closed or the argument is no JSON value. */
  apply(transition: Transition): Promise<Outcome<Conflict>>;
  /** Sends an ephemeral message to everyone in the room; `false` when it is over 1,024 bytes or there is no connection. */
  signal(body: Uint8Array | string): boolean;
  /** Called with each such message of the others. */
  onsignal: ((signal: Signal) => void) | null;
  /** Calls `subscriber` after every change, once for all changes of a tick. Returns what ends that. */
  subscribe(subscriber: (room: this) => void): () => void;
  /** Leaves the room. Transitions without an outcome reject, though the room may still accept those that were sent. */
  close(): void;
}
