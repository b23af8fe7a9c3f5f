// How tabs react to messages: decisions without time or I/O.

import fc from 'fast-check';
import { expect, it } from 'vitest';

import type { Session } from '../src/session.js';
import { eventOf, learned, newer, NOTHING, type Word } from '../src/state.js';
import { refreshToken } from './service.js';

const AT = 1_800_000_000_000;

function sessionOf(number: number, user: string, generation: number, isCookie: boolean): Session {
  const [sid, id] = [`sid-00000${number}`, `id of ${user}`];
  const claims = { sub: id, sid, name: user, roles: [] };
  return {
    user: { id, name: user, roles: [] },
    claims: claims as unknown as Session['claims'],
    accessToken: `${sid}, ${generation}`,
    expiresAt: AT,
    refreshAt: AT,
    sessionExpiresAt: AT,
    refreshToken: isCookie ? undefined : refreshToken(sid, generation),
  };
}

/** Words about a few sessions, of which each has one user. */
const words = (isCookie: boolean): fc.Arbitrary<Word> =>
  fc
    .record({ number: fc.nat(2), generation: fc.nat(5), hasEnded: fc.boolean(), at: fc.nat(9) })
    .map(({ number, generation, hasEnded, at }) => {
      const session = sessionOf(number, number === 1 ? 'grace' : 'ada', generation, isCookie);
      const about = session.claims.sid;
      return hasEnded ? { session: null, reason: 'revoked', about, at: AT + at } : { session, about, at: AT + at };
    });
const someWords = fc.boolean().chain((isCookie) => fc.array(words(isCookie), { minLength: 1, maxLength: 8 }));
const all = (told: Word[], known = NOTHING) => told.reduce(newer, known);

it('tabs that have heard the same agree, in whatever order they have heard it', () => {
  fc.assert(
    fc.property(someWords, fc.infiniteStream(fc.nat()), (told, order) => {
      const shuffled = told.map((word) => [order.next().value, word] as const).sort(([a], [b]) => a - b);
      const [one, other] = [all(told), all(shuffled.map(([, word]) => word))];
      expect([other.about, other.session?.refreshToken, other.at]).toEqual([one.about, one.session?.refreshToken, one.at]);
    }),
  );
});

it('a session that has ended never comes back, and neither does one before it', () => {
  fc.assert(
    fc.property(someWords, fc.nat(7), (told, place) => {
      const ended: Word = { ...told[place % told.length]!, session: null, reason: 'revoked' };
      const known = all([...told, ended]);
      if (known.session) expect(known.about > ended.about).toBe(true);
    }),
  );
});

it('of one session, the newest token is kept', () => {
  fc.assert(
    fc.property(fc.array(words(false), { minLength: 1 }), (told) => {
      const { session, about } = all(told);
      const same = told.filter((word) => word.about === about && word.session);
      if (session) expect(same.every((word) => word.session!.refreshToken! <= session.refreshToken!)).toBe(true);
    }),
  );
});

it('an answer outranks what was known when it arrives, unless another session has begun since the request', () => {
  fc.assert(
    fc.property(someWords, words(true), fc.boolean(), (told, answer, isSignIn) => {
      fc.pre(answer.session !== null);
      const known = all(told);
      const since = isSignIn ? undefined : told[0]!;
      const next = learned(known, answer.session, undefined, since, AT);
      if (since && since.about !== known.about) {
        expect(next).toBe(known);
      } else if (known.about.endsWith(answer.about)) {
        expect(next.about).toBe(known.about);
      } else {
        expect(next.session).toBe(answer.session);
        expect(newer(next, known)).toBe(next);
      }
    }),
  );
});

it('events follow each other as they must, whatever is learned', () => {
  fc.assert(
    fc.property(someWords, (told) => {
      let known = NOTHING;
      for (const word of told) {
        const next = newer(known, word);
        const event = next === known ? undefined : eventOf(known, next);
        const [before, after] = [known.session?.user.id, next.session?.user.id];
        if (after === undefined) expect(event === undefined || event.type === 'signed_out').toBe(true);
        else if (next !== known) expect(event?.type === 'user_changed').toBe(before !== undefined && before !== after);
        if (event) expect(event.userId).toBe(after ?? before);
        if (before && !after) expect(event?.type).toBe('signed_out');
        known = next;
      }
    }),
  );
});
