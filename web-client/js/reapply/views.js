// @ts-check
// The views that a page looks at: made when they are looked at, kept until something changes, and the same object as before
// when what changed does not show.

/** @typedef {{ isFresh: boolean, json: string | undefined, value: any }} Shown */

/** @typedef {{ view(): string | undefined, confirmedView(): string | undefined, takeViewFault(): string | undefined }} Source */

/** After a view that faulted, no view is asked for during this time: each fault costs a snapshot of the room. Twice as long each time. */
const PAUSE_MS = { first: 1_000, max: 60_000 };

export class Views {
  /** @type {Shown} */
  #optimistic = { isFresh: false, json: undefined, value: undefined };
  /** @type {Shown} */
  #confirmed = { isFresh: false, json: undefined, value: undefined };
  #pause_ms = PAUSE_MS.first;
  #isPaused = false;
  #onfault;
  #onresume;

  /**
   * @param {(why: string) => void} onfault called when the machine has faulted in a view; its states are gone then
   * @param {() => void} onresume called when views are asked for again
   */
  constructor(onfault, onresume) {
    this.#onfault = onfault;
    this.#onresume = onresume;
  }

  /** Something has changed. */
  expire() {
    this.#optimistic.isFresh = false;
    this.#confirmed.isFresh = false;
  }

  /** @param {Source | undefined} source */
  optimistic(source) {
    return this.#look(this.#optimistic, this.#confirmed, source, () => source?.view());
  }

  /** @param {Source | undefined} source */
  confirmed(source) {
    return this.#look(this.#confirmed, this.#optimistic, source, () => source?.confirmedView());
  }

  /**
   * @param {Shown} shown
   * @param {Shown} other
   * @param {Source | undefined} source
   * @param {() => string | undefined} ask
   */
  #look(shown, other, source, ask) {
    if (shown.isFresh || this.#isPaused) return shown.value;
    shown.isFresh = true;
    const json = ask();
    const why = source?.takeViewFault();
    if (why !== undefined) this.#pause(why);
    // While there is no state (the replica heals itself), what was last seen stays in sight.
    if (json === undefined) return shown.value;
    this.#pause_ms = PAUSE_MS.first;
    if (json === shown.json) return shown.value;
    try {
      shown.value = json === other.json ? other.value : JSON.parse(json);
      shown.json = json;
    } catch (error) {
      console.error("reapply: the machine's view is not JSON:", error);
    }
    return shown.value;
  }

  /** @param {string} why */
  #pause(why) {
    this.#isPaused = true;
    setTimeout(() => {
      this.#isPaused = false;
      this.expire();
      this.#onresume();
    }, this.#pause_ms);
    this.#pause_ms = Math.min(PAUSE_MS.max, this.#pause_ms * 2);
    this.#onfault(why);
  }
}
