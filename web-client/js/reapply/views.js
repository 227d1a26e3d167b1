// @ts-check
// The views that a page looks at: made when they are looked at, kept until something changes, and the same object as before
// when what changed does not show.

/** @typedef {{ isFresh: boolean, json: string | undefined, value: any }} Shown */

/** @typedef {{ view(): string | undefined, confirmedView(): string | undefined }} Source */

export class Views {
  /** @type {Shown} */
  #optimistic = { isFresh: false, json: undefined, value: undefined };
  /** @type {Shown} */
  #confirmed = { isFresh: false, json: undefined, value: undefined };

  /** Something has changed. */
  expire() {
    this.#optimistic.isFresh = false;
    this.#confirmed.isFresh = false;
  }

  /** @param {Source | undefined} source */
  optimistic(source) {
    return this.#look(this.#optimistic, this.#confirmed, () => source?.view());
  }

  /** @param {Source | undefined} source */
  confirmed(source) {
    return this.#look(this.#confirmed, this.#optimistic, () => source?.confirmedView());
  }

  /**
   * @param {Shown} shown
   * @param {Shown} other
   * @param {() => string | undefined} ask
   */
  #look(shown, other, ask) {
    if (shown.isFresh) return shown.value;
    shown.isFresh = true;
    const json = ask();
    // While there is no state (the replica heals itself), what was last seen stays in sight.
    if (json === undefined || json === shown.json) return shown.value;
    try {
      shown.value = json === other.json ? other.value : JSON.parse(json);
      shown.json = json;
    } catch (error) {
      console.error("reapply: the machine's view is not JSON:", error);
    }
    return shown.value;
  }
}
