// One connection to a room. Events before somebody listens are kept, so that a page can connect while its code is being loaded.

import type { Options } from "./types.js";

const SUBPROTOCOL = "reapply.v2";

/** The maximum number of frames that are kept until somebody listens. Before it gets a Hello, a room only says why it does not admit this page. */
const EARLY_FRAMES_MAX = 8;

export interface Listener {
  opened(): void;
  frame(frame: Uint8Array<ArrayBuffer>): void;
  /** The host sent something that is not a frame. */
  nonsense(): void;
  lost(why: string | undefined): void;
}

export class Socket {
  #socket: WebSocket | undefined;
  #listener: Listener | undefined;
  #early: ((listener: Listener) => void)[] = [];
  #isOpen = false;

  constructor(url: string, { socket: make = (url, protocol) => new WebSocket(url, protocol) }: Options) {
    try {
      this.#socket = make(url, SUBPROTOCOL);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      // The owner may still be inside the call that caused this.
      queueMicrotask(() => this.#tell((listener) => listener.lost(why)));
      return;
    }
    const socket = this.#socket;
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#isOpen = true;
      this.#tell((listener) => listener.opened());
    };
    socket.onmessage = ({ data }) => {
      // The protocol has no text frames, so the sender is not a Reapply host.
      if (isBuffer(data)) this.#tell((listener) => listener.frame(new Uint8Array(data)));
      else this.#tell((listener) => listener.nonsense());
    };
    // `close` follows an `error`, with the same information or more.
    socket.onclose = (event) => {
      this.close();
      this.#tell((listener) => listener.lost(event?.reason || undefined));
    };
  }

  /** Passes the events so far, and all later ones, to the listener. */
  listen(listener: Listener): void {
    this.#listener = listener;
    for (const tell of this.#early.splice(0)) tell(listener);
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    // A socket that is closing drops the frame. Anything important is sent again on the next one.
    if (this.#isOpen) this.#socket?.send(frame);
  }

  /** Closes the connection, and ignores its further events. */
  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A socket that is still connecting may report that it was interrupted, which does not matter any more.
    socket.onerror = () => {};
    socket.close();
  }

  #tell(tell: (listener: Listener) => void): void {
    if (this.#listener) return tell(this.#listener);
    this.#early.push(tell);
    if (this.#early.length <= EARLY_FRAMES_MAX) return;
    this.close();
    this.#early = [(listener) => listener.lost(undefined)];
  }
}

/** Returns whether this is a buffer of bytes. A buffer of another realm (a frame, a test environment) is not an instance of this realm's
 * `ArrayBuffer`. */
function isBuffer(data: unknown): data is ArrayBuffer {
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]";
}
