// Calls into the page's own code, whose mistakes are reported and do not break a room.

/** Those who want to know of every change. */
export class Subscribers<Subject> {
  /** What they are called with. */
  readonly #subject: Subject;
  readonly #subscribers = new Set<(subject: Subject) => void>();
  #mustNotify = false;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** Adds a subscriber, and returns what ends that. */
  add(subscriber: (subject: Subject) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  /** Calls them, once for all changes of this tick. */
  notify(): void {
    if (this.#mustNotify) return;
    this.#mustNotify = true;
    queueMicrotask(() => {
      this.#mustNotify = false;
      for (const subscriber of [...this.#subscribers]) guarded(() => subscriber(this.#subject));
    });
  }
}

/** Called with each letter. */
export type Reader<Letter> = ((letter: Letter) => void) | null;

/** What must not be lost before somebody reads it: each letter is read once, by whoever reads first. */
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

/** Those who would lose something with the page. */
const losing = new Set<unknown>();

const ask = (event: BeforeUnloadEvent) => event.preventDefault();

/** Has the browser ask before it leaves the page, as long as anyone would lose something with it. A page that would not may sleep and come back. */
export function guardUnload(who: unknown, wouldLose: boolean): void {
  if (wouldLose) losing.add(who);
  else losing.delete(who);
  if (losing.size > 0) globalThis.addEventListener?.("beforeunload", ask);
  else globalThis.removeEventListener?.("beforeunload", ask);
}
