// Calls of the page's own code. Its errors are reported, and do not break a room.

/** The subscribers to changes. */
export class Subscribers<Subject> {
  /** The argument of each call. */
  readonly #subject: Subject;
  readonly #subscribers = new Set<(subject: Subject) => void>();
  #mustNotify = false;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** Adds a subscriber, and returns a function that removes it. */
  add(subscriber: (subject: Subject) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  /** Calls the subscribers, once for all changes of this tick. */
  notify(): void {
    if (this.#mustNotify) return;
    this.#mustNotify = true;
    queueMicrotask(() => {
      this.#mustNotify = false;
      for (const subscriber of [...this.#subscribers]) guarded(() => subscriber(this.#subject));
    });
  }
}

/** A function that is called with each letter. */
export type Reader<Letter> = ((letter: Letter) => void) | null;

/** Letters that are kept until there is a reader. Each letter is read once. */
export class Letters<Letter> {
  #unread: Letter[] = [];
  #reader: Reader<Letter> = null;

  get reader(): Reader<Letter> {
    return this.#reader;
  }

  set reader(reader: Reader<Letter>) {
    this.#reader = reader;
    const unread = this.#unread;
    this.#unread = [];
    for (const letter of unread) this.deliver(letter);
  }

  deliver(letter: Letter): void {
    if (this.#reader) guarded(() => this.#reader?.(letter));
    else this.#unread.push(letter);
  }
}

export function guarded(call: () => void): void {
  try {
    call();
  } catch (error) {
    reportError(error);
  }
}

/** The rooms that would lose something with the page. */
const losing = new Set<unknown>();

const ask = (event: BeforeUnloadEvent) => event.preventDefault();

/** Makes the browser ask before it leaves the page, as long as a room would lose something. Otherwise the page may be frozen and resumed. */
export function guardUnload(who: unknown, wouldLose: boolean): void {
  if (wouldLose) losing.add(who);
  else losing.delete(who);
  if (losing.size > 0) globalThis.addEventListener?.("beforeunload", ask);
  else globalThis.removeEventListener?.("beforeunload", ask);
}
