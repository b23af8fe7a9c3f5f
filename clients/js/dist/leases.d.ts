import { type Locks } from './turns.js';
/**
 * Leases over a `BroadcastChannel`, to be used as `locks`. A tab claims the lease and has it if nobody
 * objects. If two claim it at the same time, the smaller claim wins; a tab that has it objects to all.
 */
export declare function leases(channelName?: string): Locks & {
    close(): void;
};
