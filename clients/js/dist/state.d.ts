import type { Code } from './codes.js';
import { type Session } from './session.js';
/** What tabs tell each other: a session, or that there is none. */
export interface Word {
    readonly session: Session | null;
    /** Why there is no session; absent as long as nobody knows. */
    readonly reason?: Code | undefined;
    /** Which session this is about: its id. Sorts by age, because it begins with a time. */
    readonly about: string;
    /** When this was learned, in ms. Grows with every word about a session, also if the clock does not. */
    readonly at: number;
}
export declare const NOTHING: Word;
/** What to hold of two words. */
export declare const newer: (known: Word, other: Word) => Word;
/**
 * What to hold after the service has answered, at `now` (ms), that there is a session, or none for a
 * reason. `since` is what was known when the request began; a sign-in replaces whatever is known.
 */
export declare function learned(known: Word, session: Session | null, reason: Code | undefined, since: Word | undefined, now: number): Word;
/** What happened to the session. `userId` is whose it is, or was. */
export type ClientEvent = {
    readonly type: 'signed_in' | 'refreshed';
    readonly userId: string;
    readonly session: Session;
} | {
    /** A sign-in replaced the session of another user. */
    readonly type: 'user_changed';
    readonly userId: string;
    readonly session: Session;
    readonly previousUserId: string;
} | {
    readonly type: 'signed_out';
    /** Absent if it turned out that nobody was signed in. */
    readonly userId?: string | undefined;
    readonly session: null;
    readonly reason: Code;
};
/** The event that the change from `old` to `word` calls for, if any. */
export declare function eventOf(old: Word, { session, reason, about }: Word): ClientEvent | undefined;
