/** Runs `work` while nobody else runs any under the same name. */
export type TakeTurns = <T>(work: () => Promise<T>) => Promise<T>;
/** The part of `LockManager` that is used. */
export interface Locks {
    request<T>(name: string, work: () => Promise<T>): Promise<T>;
}
/** Web Locks, or leases over a channel, or turns within this tab. */
export declare function turns(name: string, locks: Locks | undefined, hasChannel: boolean): TakeTurns;
/** Waits. */
export declare const sleep: (ms: number) => Promise<void>;
