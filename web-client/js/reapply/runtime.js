// @ts-check
// What the page's engine gives: tasks.

/** @type {(() => void)[]} */
let tasks = [];

const channel = new MessageChannel();
channel.port1.onmessage = () => {
  const due = tasks;
  tasks = [];
  for (const task of due) task();
};

/**
 * Runs `task` after the events that are waiting already. Unlike a timer, this is neither delayed nor slowed in hidden pages.
 * @param {() => void} task
 */
export function soon(task) {
  tasks.push(task);
  if (tasks.length === 1) channel.port2.postMessage(0);
}

/** One timer, at a moment that may move. */
export class Alarm {
  #call;
  /** @type {number | undefined} */
  #at;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {() => void} call */
  constructor(call) {
    this.#call = call;
  }

  /** @param {number | undefined} at in milliseconds of `performance.now()` */
  set(at) {
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

/** Calls `call` whenever the network or the page is back. @param {() => void} call @returns {() => void} what ends that */
export function whenBack(call) {
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

/** @param {unknown} error */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}
