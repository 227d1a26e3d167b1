// The views that a page looks at: made when they are looked at, kept until something changes, and the same object as before
// when what changed does not show.

interface Shown<View> {
  isFresh: boolean;
  json: string | undefined;
  value: View | undefined;
}

/** Whoever has the views, as JSON. */
export interface Source {
  view(): string | undefined;
  confirmedView(): string | undefined;
  takeViewFault(): string | undefined;
}

/** After a view that faulted, no view is asked for during this time: each fault costs a snapshot of the room. Twice as long each time. */
const PAUSE_MS = { first: 1_000, max: 60_000 };

export class Views<View> {
  readonly #optimistic: Shown<View> = { isFresh: false, json: undefined, value: undefined };
  readonly #confirmed: Shown<View> = { isFresh: false, json: undefined, value: undefined };
  #pause_ms = PAUSE_MS.first;
  #isPaused = false;
  readonly #onfault: (why: string) => void;
  readonly #onresume: () => void;

  /**
   * `onfault` is called when the machine has faulted in a view, and its states are gone then; `onresume` when views are asked for again.
   */
  constructor(onfault: (why: string) => void, onresume: () => void) {
    this.#onfault = onfault;
    this.#onresume = onresume;
  }

  /** Something has changed. */
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
    // While there is no state (the replica heals itself), what was last seen stays in sight.
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
