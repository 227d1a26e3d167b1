// What a page gives to a room and gets from it.

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
  | {
      /** It is in the log, durably. */
      status: "accepted";
      seq: number;
      time: Date;
    }
  | {
      /** It was not applied. */
      status: "rejected";
      kind: RejectionKind;
      message: string;
      conflict?: Conflict;
      /** It was refused here already, and never sent. */
      predicted: boolean;
    }
  | {
      /** It was decided while this page was away for long; the state includes it, unless the room rejected it and has forgotten. */
      status: "decided";
    }
  | {
      /** The client was away for so long that the room has forgotten it. This one may have been sent before: it may be in the log or not, and it is
       * not sent again. */
      status: "unknown";
    };

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
