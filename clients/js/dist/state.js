// What a client knows about its session, and how that changes: decisions only, without time, timers
// or I/O. `test/state.test.ts` explores the orders in which answers and messages can arrive.
import { ageOf } from './session.js';
export const NOTHING = { session: null, about: '', at: 0 };
/**
 * Orders words: a newer sign-in counts more than an older one, an end more than the session that
 * ended, then the later token. So all tabs that have heard the same words hold the same one.
 */
const rank = ({ about, session, at }) => [about, !session, ageOf(session?.refreshToken), at].join();
/** What to hold of two words. */
export const newer = (known, other) => (rank(other) > rank(known) ? other : known);
/**
 * What to hold after the service has answered, at `now` (ms), that there is a session, or none for a
 * reason. `since` is what was known when the request began; a sign-in replaces whatever is known.
 */
export function learned(known, session, reason, since, now) {
    let { about } = known;
    // Too late: meanwhile another session has begun.
    if (since && since.about !== about)
        return known;
    const own = session?.claims.sid;
    // Outranks what was known, even if it is older: cookies can come late, and clocks can differ.
    if (own && !about.endsWith(own))
        about = own > about ? own : `${about}~${own}`;
    return newer(known, { session, reason, about, at: Math.max(now, known.at + 1) });
}
/** The event that the change from `old` to `word` calls for, if any. */
export function eventOf(old, { session, reason, about }) {
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
        ? { type, userId, session, reason, previousUserId }
        : undefined;
}
