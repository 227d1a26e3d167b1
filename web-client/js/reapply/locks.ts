// Web Locks: what is held by one page of this browser is held by no other, until that page lets go, ends or crashes.

/** Pages of plain http have no locks. */
export const hasLocks: boolean = Boolean(globalThis.navigator?.locks);

/** A lock that this page holds, or has held. */
export interface Lock {
  isHeld: boolean;
  release: () => void;
}

/**
 * Takes a lock; nothing when it cannot be had. `steal` takes it from whoever holds it, `ifAvailable` does not wait for it. `onlost` is called when
 * another page has stolen it.
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
