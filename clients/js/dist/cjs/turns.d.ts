/** The part of `LockManager` that is used. */
export interface Locks {
    request<T>(name: string, work: () => Promise<T>): Promise<T>;
}
/** Runs `work` when its turn has come. */
export type TakeTurn = <T>(work: () => Promise<T>) => Promise<T>;
/** The longest wait for an answer, in ms. */
export declare const ANSWER = 10000;
/**
 * Takes turns, under a lock if there are any. A lock that is refused or not granted in time is done
 * without: a tab that never gives it back must not stop the others.
 */
export declare function turns(name: string, locks: Locks | null | undefined): TakeTurn;
/** Rejects if `work` takes longer than `ms`. */
export declare function within<T>(ms: number, work: Promise<T>): Promise<T>;
