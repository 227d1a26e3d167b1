// @ts-check
// The host's clock, as well as it can be told here: predictions are made at the host's time, not at this page's.

export class HostClock {
  /** The host's clock less `performance.now()`, in milliseconds: at least this much. @type {number | undefined} */
  #ahead_ms;
  #mustBegin = true;
  #named_us = 0;

  /** A connection is there: it may lead to another host, and this page may have slept. */
  begin() {
    this.#mustBegin = true;
  }

  /**
   * The latest time that the host has named; 0 if it has named none. Of several times the one that was on its way the shortest tells most.
   * @param {number} time_us
   */
  hear(time_us) {
    if (time_us === 0 || time_us === this.#named_us) return;
    this.#named_us = time_us;
    const ahead_ms = time_us / 1000 - performance.now();
    this.#ahead_ms = this.#mustBegin || this.#ahead_ms === undefined ? ahead_ms : Math.max(this.#ahead_ms, ahead_ms);
    this.#mustBegin = false;
  }

  /** Milliseconds since the Unix epoch; by this page's clock until the host has named a time. */
  now() {
    return this.#ahead_ms === undefined ? Date.now() : performance.now() + this.#ahead_ms;
  }
}
