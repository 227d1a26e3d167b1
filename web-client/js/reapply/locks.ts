// Web Locks: a lock is held by one page of this browser at a time, until that page releases it, ends or crashes.

/** Whether this page has locks. Pages of plain http do not. */
export const hasLocks: boolean = Boolean(globalThis.navigator?.locks);

/** A lock that this page holds, or has held. */
export interface Lock {
  isHeld: boolean;
  release: () => void;
}

/**
 * Takes a lock; `undefined` if that fails. `steal` takes it from the page that holds it, and `ifAvailable` does not wait for it. `onlost` is called
 * when another page has stolen it.
 */
export function hold(name: string, options: LockOptions, onlost?: () => void): Promise<Lock | undefined> {
  const lock: Lock = { isHeld: false, release: () => {} };
  return new Promise((resolve) => {
    const held = (granted: unknown): Promise<void> | undefined => {
      if (!granted) return void resolve(undefined);
      return new Promise((release) => {
        lock.isHeld = true;
        lock.release = () => {
          lock.isHeld = false;
          release();
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
