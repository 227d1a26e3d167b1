// The types of a room's options and results.

export interface Options {
  /** The client's key, 32 hexadecimal digits: a page that holds it is that client. By default each tab has its own key, and keeps it over
   * reloads. A new
   * tab takes over the key of a tab that was closed or crashed with undelivered transitions in this room. A room admits a key once: a second
   * connection
   * with the same key replaces the first. (If a page joins a room twice without keys, the second one has a new key.) */
  key?: string;
  /** Makes the connection, in place of `new WebSocket(url, protocol)`. */
  socket?: (url: string, protocol: string) => WebSocket;
  /** The maximum wait before connecting again: `first_ms` at first, then twice as much each time, up to `max_ms`. Each wait is a random part of its
   * maximum. By default 250 and 15,000. */
  backoff?: { first_ms?: number; max_ms?: number };
}

/** `"live"`: shows the present. `"offline"`: disconnected, and reconnects by itself. `"closed"`: ended; `reason` says why. */
export type Status = "connecting" | "live" | "offline" | "closed";

/** The outcome of a transition. */
export type Outcome<Conflict = any> =
  | {
      /** The transition is in the log, durably. */
      status: "accepted";
      seq: number;
      time: Date;
    }
  | {
      /** The transition was not applied. */
      status: "rejected";
      kind: RejectionKind;
      message: string;
      conflict?: Conflict;
      /** Whether this page has refused it, and never sent it. */
      predicted: boolean;
    }
  | {
      /** The transition was decided while this page was away for long. The state includes it, unless the room rejected it and has forgotten that. */
      status: "decided";
    }
  | {
      /** The client was away for so long that the room has forgotten it. The transition was perhaps sent before, so it may be in the log or not.
       * It is
       * not sent again. */
      status: "unknown";
    };

/** A transition of an earlier page: of this tab before a reload, or of a tab that was closed or crashed. */
export interface Returned<Transition = any, Conflict = any> {
  readonly transition: Transition;
  /** Its outcome, now that it was delivered. */
  readonly outcome: Outcome<Conflict>;
  /** The time when it was submitted. */
  readonly time: Date;
}

/** A past state of a room. */
export interface Moment<View = any> {
  /** The last event in the state; 0 for the room's first state. */
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
