// A network that can be made worse. `connect(url, { socket: network.socket })` sends every frame of a room through it.
//
// It takes the place of the real WebSocket and has its interface, so the client does not notice it. Frames wait in each direction
// and stay in order. Cutting it loses the frames in flight, closes the socket, and refuses new ones until it is restored.

export class Network {
  /** The time that a frame takes, each way, in milliseconds. */
  delay_ms = 0;
  /** Called for every frame that is sent: `onframe("out" | "in", delay_ms)`. */
  onframe;
  #cut = false;
  #sockets = new Set();

  /** The function that `connect` calls instead of `new WebSocket`. */
  socket = (url, protocol) => {
    const socket = new NetworkSocket(this, this.#cut ? undefined : new WebSocket(url, protocol), url);
    this.#sockets.add(socket);
    socket.addEventListener("close", () => this.#sockets.delete(socket));
    return socket;
  };

  get cut() {
    return this.#cut;
  }

  set cut(cut) {
    if (cut === this.#cut) return;
    this.#cut = cut;
    if (cut) {
      for (const socket of [...this.#sockets]) socket.breakOff();
    } else {
      // The event of a browser when a real network is back; the client then tries again at once.
      window.dispatchEvent(new Event("online"));
    }
  }
}

/** One connection through a `Network`, with a WebSocket's interface. Without an `inner` socket it fails as a dead network does. */
class NetworkSocket extends EventTarget {
  onopen = null;
  onmessage = null;
  onerror = null;
  onclose = null;
  readyState = WebSocket.CONNECTING;
  #network;
  #inner;
  #url;
  #out;
  #in;

  constructor(network, inner, url) {
    super();
    this.#network = network;
    this.#inner = inner;
    this.#url = String(url);
    this.#out = new Lane(() => network.delay_ms);
    this.#in = new Lane(() => network.delay_ms);
    if (!inner) {
      setTimeout(() => this.breakOff());
      return;
    }
    inner.binaryType = "arraybuffer";
    inner.onopen = () => this.#in.push(() => this.#opened());
    inner.onmessage = ({ data }) => {
      network.onframe?.("in", network.delay_ms);
      this.#in.push(() => this.#emit(new MessageEvent("message", { data })));
    };
    inner.onerror = () => this.#in.push(() => this.#emit(new Event("error")));
    inner.onclose = ({ code, reason, wasClean }) =>
      this.#in.push(() => this.#closed(new CloseEvent("close", { code, reason, wasClean })));
  }

  get url() {
    return this.#url;
  }

  get protocol() {
    return this.#inner?.protocol ?? "";
  }

  get extensions() {
    return this.#inner?.extensions ?? "";
  }

  get bufferedAmount() {
    return this.#inner?.bufferedAmount ?? 0;
  }

  get binaryType() {
    return this.#inner?.binaryType ?? "arraybuffer";
  }

  set binaryType(type) {
    if (this.#inner) this.#inner.binaryType = type;
  }

  send(data) {
    if (this.readyState === WebSocket.CONNECTING) throw new DOMException("Still connecting", "InvalidStateError");
    if (this.readyState !== WebSocket.OPEN) return;
    this.#network.onframe?.("out", this.#network.delay_ms);
    // The sender may reuse its buffer before the frame leaves.
    const frame = typeof data === "string" || data instanceof Blob ? data : copy(data);
    this.#out.push(() => this.#inner.send(frame));
  }

  close(code, reason) {
    if (this.readyState >= WebSocket.CLOSING) return;
    this.readyState = WebSocket.CLOSING;
    this.#out.push(() => this.#inner?.close(code, reason));
  }

  /** The network is gone: frames in flight are lost, and nothing more arrives. */
  breakOff() {
    this.#out.drop();
    this.#in.drop();
    if (this.#inner) {
      this.#inner.onopen = this.#inner.onmessage = this.#inner.onerror = this.#inner.onclose = null;
      this.#inner.close();
    }
    this.#emit(new Event("error"));
    this.#closed(new CloseEvent("close", { code: 1006, wasClean: false }));
  }

  #opened() {
    if (this.readyState !== WebSocket.CONNECTING) return;
    this.readyState = WebSocket.OPEN;
    this.#emit(new Event("open"));
  }

  #closed(event) {
    if (this.readyState === WebSocket.CLOSED) return;
    this.readyState = WebSocket.CLOSED;
    this.#out.drop();
    this.#emit(event);
  }

  #emit(event) {
    this[`on${event.type}`]?.call(this, event);
    this.dispatchEvent(event);
  }
}

/** Runs each pushed function after the delay that was set at the time, and never out of order. */
class Lane {
  #delay_ms;
  #waiting = [];
  #timer;

  constructor(delay_ms) {
    this.#delay_ms = delay_ms;
  }

  push(run) {
    const delay_ms = this.#delay_ms();
    if (delay_ms === 0 && this.#waiting.length === 0) {
      run();
      return;
    }
    const after = this.#waiting.at(-1)?.due ?? 0;
    this.#waiting.push({ due: Math.max(after, performance.now() + delay_ms), run });
    this.#schedule();
  }

  drop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#waiting = [];
  }

  #schedule() {
    if (this.#timer !== undefined || this.#waiting.length === 0) return;
    this.#timer = setTimeout(() => this.#drain(), this.#waiting[0].due - performance.now());
  }

  #drain() {
    this.#timer = undefined;
    while (this.#waiting.length > 0 && this.#waiting[0].due <= performance.now()) this.#waiting.shift().run();
    this.#schedule();
  }
}

function copy(data) {
  return data instanceof ArrayBuffer ? data.slice(0) : new Uint8Array(data.buffer, data.byteOffset, data.byteLength).slice();
}
