// The views that a page reads: made when they are read, and kept until something changes. If a change does not affect a view, it stays the same
// object.

interface Shown<View> {
  isFresh: boolean;
  json: string | undefined;
  value: View | undefined;
}

/** The source of views, as JSON. */
export interface Source {
  view(): string | undefined;
  confirmedView(): string | undefined;
  takeViewFault(): string | undefined;
}

/** The time for which no view is requested after a fault, since each fault costs a snapshot of the room. It doubles each time. */
const PAUSE_MS = { first: 1_000, max: 60_000 };

export class Views<View> {
  readonly #optimistic: Shown<View> = { isFresh: false, json: undefined, value: undefined };
  readonly #confirmed: Shown<View> = { isFresh: false, json: undefined, value: undefined };
  #pause_ms = PAUSE_MS.first;
  #isPaused = false;
  readonly #onfault: (why: string) => void;
  readonly #onresume: () => void;

  /**
   * `onfault` is called when the machine has faulted in a view; its states are gone then. `onresume` is called when views are requested again.
   */
  constructor(onfault: (why: string) => void, onresume: () => void) {
    this.#onfault = onfault;
    this.#onresume = onresume;
  }

  /** Notes that something has changed. */
  expire(): void {
    this.#optimistic.isFresh = false;
    this.#confirmed.isFresh = false;
  }

  optimistic(source: Source | undefined): View | undefined {
    return this.#look(this.#optimistic, this.#confirmed, source, () => source?.view());
  }

  confirmed(source: Source | undefined): View | undefined {
    return this.#look(this.#confirmed, this.#optimistic, source, () => source?.confirmedView());
  }

  #look(
    shown: Shown<View>,
    other: Shown<View>,
    source: Source | undefined,
    ask: () => string | undefined,
  ): View | undefined {
    if (shown.isFresh || this.#isPaused) return shown.value;
    shown.isFresh = true;
    const json = ask();
    const why = source?.takeViewFault();
    if (why !== undefined) this.#pause(why);
    // While there is no state (the replica heals itself), the last view stays.
    if (json === undefined) return shown.value;
    this.#pause_ms = PAUSE_MS.first;
    if (json === shown.json) return shown.value;
    try {
      shown.value = json === other.json ? other.value : (JSON.parse(json) as View);
      shown.json = json;
    } catch (error) {
      console.error("reapply: the machine's view is not JSON:", error);
    }
    return shown.value;
  }

  #pause(why: string): void {
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
