// @ts-check
// One room's connection: opens it, notices when it is dead, and opens it again.

const SUBPROTOCOL = "reapply.v2";

const DEFAULT_BACKOFF = { first_ms: 250, max_ms: 15_000 };

/** How often the connection is asked for a sign of life, in milliseconds. */
const HEARTBEAT_MS = 5_000;

/** How long it may stay silent after it was asked, and how long it may take to open. */
const SILENCE_MAX_MS = 10_000;

/** A connection that lasted this long was a good one: the next wait is short again. */
const GOOD_AFTER_MS = 10_000;

/**
 * @typedef {object} Handlers
 * @property {() => void} opened
 * @property {(frame: Uint8Array) => void} frame
 * @property {(why: string | undefined) => void} lost
 * @property {(why: unknown) => void} failed there is no socket: `options.socket` or the browser has thrown
 * @property {() => void} heartbeat asks the room for a sign of life
 */

export class Connection {
  #url;
  #makeSocket;
  #backoff;
  #handlers;
  /** @type {WebSocket | undefined} */
  #socket;
  #openedAt = 0;
  /** When the room was asked for a sign of life and has not given one since; 0 when it is not being asked. */
  #askedAt = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retry;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #heartbeat;
  #stopped = false;

  /**
   * @param {string} url
   * @param {import("../reapply.d.ts").Options} options
   * @param {Handlers} handlers
   */
  constructor(url, options, handlers) {
    this.#url = url;
    this.#makeSocket = options.socket ?? ((url, protocol) => new WebSocket(url, protocol));
    this.#backoff = new Backoff(options.backoff);
    this.#handlers = handlers;
    globalThis.addEventListener?.("online", this.#wake);
    globalThis.addEventListener?.("pageshow", this.#wake);
    globalThis.document?.addEventListener("visibilitychange", this.#wake);
    this.#open();
  }

  get isOpen() {
    return this.#openedAt > 0;
  }

  /** Whether the next attempt is still to come. */
  get isWaiting() {
    return this.#retry !== undefined;
  }

  /** @param {Uint8Array} frame */
  send(frame) {
    // A socket that is closing drops it; what matters is sent again on the next one.
    if (this.isOpen) this.#socket?.send(frame);
  }

  /** The connection is of no use any more: drops it, and opens another after a while. */
  drop() {
    if (this.#socket) this.#lose(this.#socket);
  }

  /** Closes it for good. */
  stop() {
    this.#stopped = true;
    globalThis.removeEventListener?.("online", this.#wake);
    globalThis.removeEventListener?.("pageshow", this.#wake);
    globalThis.document?.removeEventListener("visibilitychange", this.#wake);
    clearTimeout(this.#retry);
    if (this.#socket) this.#lose(this.#socket);
  }

  #open() {
    clearTimeout(this.#retry);
    this.#retry = undefined;
    const socket = this.#made();
    if (!socket) return;
    this.#socket = socket;
    this.#askedAt = performance.now();
    this.#heartbeat = setInterval(() => this.#checkLife(socket), HEARTBEAT_MS);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => {
      this.#openedAt = performance.now();
      this.#askedAt = 0;
      this.#handlers.opened();
    };
    socket.onmessage = ({ data }) => {
      this.#askedAt = 0;
      // The protocol has no text frames: whatever sent one is not a Reapply host.
      if (isBuffer(data)) this.#handlers.frame(new Uint8Array(data));
      else this.#lose(socket);
    };
    // `close` follows an `error`, and tells as much or more.
    socket.onclose = (event) => this.#lose(socket, event?.reason || undefined);
  }

  /** A new socket. Where none can be made, it is tried again like a connection that failed. */
  #made() {
    try {
      return this.#makeSocket(this.#url, SUBPROTOCOL);
    } catch (error) {
      // The owner may still be at work in the call that has led here.
      this.#retry = setTimeout(() => this.#open(), this.#backoff.next());
      queueMicrotask(() => this.#stopped || this.#handlers.failed(error));
      return undefined;
    }
  }

  /** @param {WebSocket} socket @param {string} [why] what the host has said with the end of the connection */
  #lose(socket, why) {
    if (socket !== this.#socket) return;
    this.#socket = undefined;
    clearInterval(this.#heartbeat);
    socket.onopen = socket.onmessage = socket.onclose = null;
    // A socket that is still connecting may say that it was interrupted; nobody is interested any more.
    socket.onerror = () => {};
    socket.close();
    const wasOpen = this.isOpen;
    const wasGood = wasOpen && performance.now() - this.#openedAt >= GOOD_AFTER_MS;
    if (wasGood) this.#backoff.reset();
    this.#openedAt = 0;
    if (!this.#stopped) this.#retry = setTimeout(() => this.#open(), this.#backoff.next());
    this.#handlers.lost(why);
  }

  /** The network or the page is back: waits no longer, and looks whether the connection outlived it. */
  #wake = () => {
    if (globalThis.document?.visibilityState === "hidden") return;
    if (this.#retry !== undefined) this.#open();
    else if (this.isOpen) this.#ask();
  };

  /** @param {WebSocket} socket */
  #checkLife(socket) {
    if (this.#askedAt === 0) this.#ask();
    else if (performance.now() - this.#askedAt >= SILENCE_MAX_MS) this.#lose(socket);
  }

  #ask() {
    if (this.#askedAt === 0) this.#askedAt = performance.now();
    this.#handlers.heartbeat();
  }
}

/** How long to wait before something is tried again. */
export class Backoff {
  #limits;
  #failures = 0;

  /** @param {import("../reapply.d.ts").Options["backoff"]} [options] */
  constructor(options) {
    this.#limits = { ...DEFAULT_BACKOFF, ...options };
  }

  /** It worked: the next wait is short again. */
  reset() {
    this.#failures = 0;
  }

  /** Milliseconds to wait after one more failure. Exponential, with full jitter: when a host comes back, its clients do not come back all at once. */
  next() {
    const { first_ms, max_ms } = this.#limits;
    const longest_ms = Math.min(max_ms, first_ms * 2 ** Math.min(this.#failures, 30));
    this.#failures += 1;
    return Math.random() * longest_ms;
  }
}

/**
 * Whether this is a buffer of bytes. One of another realm (a frame's, a test environment's) is not an instance of this realm's `ArrayBuffer`.
 * @param {unknown} data
 * @returns {data is ArrayBuffer}
 */
function isBuffer(data) {
  return Object.prototype.toString.call(data) === "[object ArrayBuffer]";
}
