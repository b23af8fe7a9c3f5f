// One at a time, over all tabs of a browser.

/** Runs `work` while nobody else runs any under the same name. */
export type TakeTurns = <T>(work: () => Promise<T>) => Promise<T>;

/** The part of `LockManager` that is used. */
export interface Locks {
  request<T>(name: string, work: () => Promise<T>): Promise<T>;
}

/** How long other tabs have to object to a lease, in ms. */
const OBJECTION = 60;
/** How long a tab that says nothing may keep a lease, in ms. */
const LEASE = 60_000;

/** Web Locks, or leases over a channel, or turns within this tab. */
export function turns(name: string, locks: Locks | undefined, hasChannel: boolean): TakeTurns {
  if (locks) return (work) => locks.request(name, work);
  const across: TakeTurns = hasChannel ? leases(name) : (work) => work();
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const turn = last.then(() => across(work));
    last = turn.catch(() => {});
    return turn;
  };
}

/**
 * A tab claims the lease and has it if nobody objects. Of two that claim at the same time, the
 * smaller claim wins; whoever has the lease objects to all.
 */
function leases(name: string): TakeTurns {
  const channel = new BroadcastChannel(`${name}:lease`);
  let mine = '';
  let holding = false;
  let beaten = false;
  let freed = () => {};
  channel.onmessage = ({ data: { claim, free } }) => {
    if (free) freed();
    else if (mine && (holding || claim > mine)) channel.postMessage({ claim: holding ? '' : mine });
    else if (mine) beaten = true;
  };
  // A channel must not keep a program alive that has nothing else to do (Node).
  (channel as { unref?: () => void }).unref?.();
  return async (work) => {
    for (;;) {
      mine = String(Math.random());
      beaten = false;
      const free = new Promise<void>((resolve) => (freed = resolve));
      channel.postMessage({ claim: mine });
      await sleep(OBJECTION);
      if (!beaten) break;
      mine = '';
      await Promise.race([free, sleep(LEASE)]);
    }
    holding = true;
    try {
      return await work();
    } finally {
      holding = false;
      mine = '';
      channel.postMessage({ free: true });
    }
  };
}

/** Waits. */
export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
