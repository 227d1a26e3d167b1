// @ts-check
// Frames on their way to the connection: at once and in order, unless something must happen first.

export class Outbox {
  #send;
  /** Frames that wait. @type {Uint8Array[] | undefined} */
  #waiting;

  /** @param {(frame: Uint8Array) => void} send */
  constructor(send) {
    this.#send = send;
  }

  /**
   * @param {Uint8Array[]} frames
   * @param {() => Promise<void> | undefined} prepare what is to be done before they are sent, if it is anything
   */
  send(frames, prepare) {
    if (frames.length === 0) return;
    if (this.#waiting) {
      this.#waiting.push(...frames);
      return;
    }
    const preparing = prepare();
    if (!preparing) return frames.forEach(this.#send);
    this.#waiting = [...frames];
    this.#flush(this.#waiting, preparing, prepare);
  }

  /**
   * Sends what waits once all is prepared. Frames that have joined it meanwhile may ask for more.
   * @param {Uint8Array[]} waiting
   * @param {Promise<void> | undefined} preparing
   * @param {() => Promise<void> | undefined} prepare
   */
  async #flush(waiting, preparing, prepare) {
    while (preparing) {
      await preparing;
      if (this.#waiting !== waiting) return;
      preparing = prepare();
    }
    this.#waiting = undefined;
    waiting.forEach(this.#send);
  }

  /** The connection is gone, and with it what was meant for it. */
  clear() {
    this.#waiting = undefined;
  }
}
