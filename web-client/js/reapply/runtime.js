// @ts-check
// What the page's engine gives: tasks and random bits.

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

const pool = new BigUint64Array(64);
let left = 0;

/** 64 random bits. */
export function entropy() {
  if (left === 0) left = crypto.getRandomValues(pool).length;
  left -= 1;
  return pool[left];
}
