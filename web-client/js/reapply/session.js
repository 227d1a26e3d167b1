// @ts-check
// What a page keeps account of while it is connected: how far away the host is, and whether another page is this client.

/** How much of a new measurement goes into the latency that is shown. */
const LATENCY_WEIGHT = 0.25;

/** How often in a row a session may be replaced by another of the same client, though this page alone is that client in this browser: one of a
 * connection that was given up may arrive late. More often, the key is used elsewhere. */
const REPLACED_MAX = 4;

/** After this long without it, the count begins anew. */
const REPLACED_WITHIN_MS = 60_000;

/** The way to the host and back, smoothed. */
export class Latency {
  /** In milliseconds. @type {number | undefined} */
  value_ms;

  /** @param {number} pong when the ping was sent that has been answered now, in microseconds */
  measure(pong) {
    // The clock is coarse, and what was sent was rounded.
    const latency_ms = Math.max(0, performance.now() - pong / 1000);
    this.value_ms ??= latency_ms;
    this.value_ms += (latency_ms - this.value_ms) * LATENCY_WEIGHT;
  }
}

/** How often in a row another session of this client has replaced this page's. */
export class Replacements {
  #count = 0;
  #lastAt = 0;

  /** Notes one more, and answers whether the page may come back after it. */
  mayReturn() {
    const now = performance.now();
    this.#count = now - this.#lastAt < REPLACED_WITHIN_MS ? this.#count + 1 : 1;
    this.#lastAt = now;
    return this.#count <= REPLACED_MAX;
  }
}
