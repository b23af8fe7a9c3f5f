// One at a time: within a client, and with Web Locks over all tabs of a browser.

import { RatchetError } from './session.js';

/** The part of `LockManager` that is used. */
export interface Locks {
  request<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** Runs `work` when its turn has come. */
export type TakeTurn = <T>(work: () => Promise<T>) => Promise<T>;

/** How long to wait for a lock, in ms. The service keeps sessions whole without it. */
const LOCK = 5_000;
/** The longest wait for an answer, in ms. */
export const ANSWER = 10_000;

/**
 * Takes turns, under a lock if there are any. A lock that is refused or not granted in time is done
 * without: a tab that never gives it back must not stop the others.
 */
export function turns(name: string, locks: Locks | null | undefined): TakeTurn {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(async () => {
      let begun: ReturnType<typeof work> | undefined;
      const run = () => (begun ??= work());
      if (locks) {
        const granted = new Promise<unknown>((resolve) => {
          locks.request(name, () => (resolve(0), run())).catch(resolve);
        });
        await within(LOCK, granted).catch(() => {});
      }
      return run();
    });
    last = turn.catch(() => {});
    return turn;
  };
}

/** Rejects if `work` takes longer than `ms`. */
export function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: ReturnType<typeof setTimeout>;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new RatchetError()), ms);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}
