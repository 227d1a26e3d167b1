// Tasks and timers of the page's engine.

let tasks: (() => void)[] = [];

const channel = new MessageChannel();
channel.port1.onmessage = () => {
  const due = tasks;
  tasks = [];
  for (const task of due) task();
};

/** Runs `task` after the events that are already waiting. Unlike a timer, this is neither delayed nor slowed in hidden pages. */
export function soon(task: () => void): void {
  tasks.push(task);
  if (tasks.length === 1) channel.port2.postMessage(0);
}

/** A timer whose time can be changed. */
export class Alarm {
  readonly #call: () => void;
  #at: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  constructor(call: () => void) {
    this.#call = call;
  }

  /** Sets the time, in milliseconds of `performance.now()`. */
  set(at: number | undefined): void {
    if (at === this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    if (at === undefined) return;
    this.#timer = setTimeout(() => {
      this.#at = undefined;
      this.#call();
    }, Math.max(0, at - performance.now()));
  }
}

/** Calls `call` whenever the network or the page is back. Returns a function that ends that. */
export function whenBack(call: () => void): () => void {
  const listener = () => {
    if (globalThis.document?.visibilityState !== "hidden") call();
  };
  globalThis.addEventListener?.("online", listener);
  globalThis.addEventListener?.("pageshow", listener);
  globalThis.document?.addEventListener("visibilitychange", listener);
  return () => {
    globalThis.removeEventListener?.("online", listener);
    globalThis.removeEventListener?.("pageshow", listener);
    globalThis.document?.removeEventListener("visibilitychange", listener);
  };
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
