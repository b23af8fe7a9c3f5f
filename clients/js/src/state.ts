// What a client knows about its session, and how that changes: decisions only, without time, timers
// or I/O. `test/state.test.ts` explores the orders in which answers and messages can arrive.

import type { Code } from './codes.js';
import { ageOf, type Session } from './session.js';

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

export const NOTHING: Word = { session: null, about: '', at: 0 };

/**
 * Orders words: a newer sign-in counts more than an older one, an end more than the session that
 * ended, then the later token. So all tabs that have heard the same words hold the same one.
 */
const rank = ({ about, session, at }: Word) => [about, !session, ageOf(session?.refreshToken), at].join();

/** What to hold of two words. */
export const newer = (known: Word, other: Word): Word => (rank(other) > rank(known) ? other : known);

/**
 * What to hold after the service has answered, at `now` (ms), that there is a session, or none for a
 * reason. `since` is what was known when the request began; a sign-in replaces whatever is known.
 */
export function learned(
  known: Word,
  session: Session | null,
  reason: Code | undefined,
  since: Word | undefined,
  now: number,
): Word {
  let { about } = known;
  // Too late: meanwhile another session has begun.
  if (since && since.about !== about) return known;
  const own = session?.claims.sid;
  // Outranks what was known, even if it is older: cookies can come late, and clocks can differ.
  if (own && !about.endsWith(own)) about = own > about ? own : `${about}~${own}`;
  return newer(known, { session, reason, about, at: Math.max(now, known.at + 1) });
}

/** What happened to the session. `userId` is whose it is, or was. */
export type ClientEvent =
  | { readonly type: 'signed_in' | 'refreshed'; readonly userId: string; readonly session: Session }
  | {
      /** A sign-in replaced the session of another user. */
      readonly type: 'user_changed';
      readonly userId: string;
      readonly session: Session;
      readonly previousUserId: string;
    }
  | {
      readonly type: 'signed_out';
      /** Absent if it turned out that nobody was signed in. */
      readonly userId?: string | undefined;
      readonly session: null;
      readonly reason: Code;
    };

/** The event that the change from `old` to `word` calls for, if any. */
export function eventOf(old: Word, { session, reason, about }: Word): ClientEvent | undefined {
  const previousUserId = old.session?.user.id;
  const userId = session?.user.id ?? previousUserId;
  const type = !session
    ? 'signed_out'
    : previousUserId && previousUserId !== userId
      ? 'user_changed'
      : previousUserId && old.about === about
        ? 'refreshed'
        : 'signed_in';
  return session || previousUserId || !old.reason
    ? ({ type, userId, session, reason, previousUserId } as ClientEvent)
    : undefined;
}
