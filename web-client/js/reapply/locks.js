// @ts-check
// Web Locks: what is held by one page of this browser is held by no other, until that page lets go, ends or crashes.

/** Pages of plain http have no locks. */
export const hasLocks = Boolean(globalThis.navigator?.locks);

/**
 * A lock that this page holds, or has held.
 * @typedef {{ isHeld: boolean, release: () => void }} Lock
 */

/**
 * Takes a lock; nothing when it cannot be had. `steal` takes it from whoever holds it, `ifAvailable` does not wait for it.
 * @param {string} name
 * @param {LockOptions} options
 * @param {() => void} [onlost] called when another page has stolen it
 * @returns {Promise<Lock | undefined>}
 */
export function hold(name, options, onlost) {
  /** @type {Lock} */
  const lock = { isHeld: false, release: () => {} };
  return new Promise((resolve) => {
    /** @param {unknown} granted */
    const held = (granted) => {
      if (!granted) return resolve(undefined);
      return new Promise((release) => {
        lock.isHeld = true;
        lock.release = () => {
          lock.isHeld = false;
          release(undefined);
        };
        resolve(lock);
      });
    };
    navigator.locks.request(name, options, held).catch(() => {
      const wasHeld = lock.isHeld;
      lock.isHeld = false;
      resolve(undefined);
      if (wasHeld) onlost?.();
    });
  });
}
