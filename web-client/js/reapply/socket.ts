// One connection to a room. What happens before somebody listens is kept, so that a page can connect while its code is being loaded.

import type { Options } from "./types.js";

const SUBPROTOCOL = "reapply.v2";

/** Frames that are kept until somebody listens. A room that was not greeted yet has nothing to say but why it does not let this page in. */
const EARLY_FRAMES_MAX = 8;

export interface Listener {
  opened(): void;
  frame(frame: Uint8Array<ArrayBuffer>): void;
  /** Something came that is not a frame. */
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
      // The owner may still be at work in the call that has led here.
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
      // The protocol has no text frames: whatever sent one is not a Reapply host.
      if (isBuffer(data)) this.#tell((listener) => listener.frame(new Uint8Array(data)));
      else this.#tell((listener) => listener.nonsense());
    };
    // `close` follows an `error`, and tells as much or more.
    socket.onclose = (event) => {
      this.close();
      this.#tell((listener) => listener.lost(event?.reason || undefined));
    };
  }

  /** Tells the listener what has happened, and what happens from here on. */
  listen(listener: Listener): void {
    this.#listener = listener;
    for (const tell of this.#early.splice(0)) tell(listener);
  }

  send(frame: Uint8Array<ArrayBuffer>): void {
    // A socket that is closing drops it; what matters is sent again on the next one.
    if (this.#isOpen) this.#socket?.send(frame);
  }

  /** Closes it. Nobody hears of it any more. */
  close(): void {
    const socket = this.#socket;
    this.#socket = undefined;
    this.#isOpen = false;
    if (!socket) return;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A socket that is still connecting may say that it was interrupted; nobody is interested any more.
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

/** Whether this is a buffer of bytes. One of another realm (a frame's, a test environment's) is not an instance of this realm's `ArrayBuffer`. */
function isBuffer(data: unknown): data is ArrayBuffer {
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]";
}
