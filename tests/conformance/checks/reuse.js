// A token that was superseded and whose successor has been used: somebody else has it.

import { cannotTell, fails, verdict } from '../lib/result.js';

const SOURCES = ['RFC 9700 §4.14.2', 'OAuth 2.1 §4.3.1', 'ASVS 5.0 10.4.5'];

/** Three generations of one session, the newest in use. */
async function threeGenerations(t) {
  const session = await t.signIn();
  await t.gap();
  const grandparent = session.refresh_token;
  await t.rotate(session);
  await t.gap();
  await t.rotate(session);
  await t.gap();
  return { session, grandparent };
}

const LATER = 90;

/** Thief and owner hold the same token and take turns, each presenting the newest that it has. */
async function lockStep(t, rounds, seconds) {
  const session = await t.signIn();
  const held = { owner: session.refresh_token, thief: session.refresh_token };
  for (let round = 1; round <= rounds; round += 1) {
    for (const who of ['owner', 'thief']) {
      await t.gap();
      await t.pass(seconds / 2, session);
      const outcome = await t.refresh(session, held[who]);
      if (outcome.fault) return cannotTell(`a fault in round ${round}: ${outcome.status}`);
      if (outcome.refused) {
        const other = who === 'owner' ? 'thief' : 'owner';
        await t.gap();
        const ended = !(await t.works(session, held[other]));
        return verdict(ended, `round ${round}: ${who} refused, ${ended ? 'session ended' : `the ${other} goes on`}`, {
          round,
        });
      }
      held[who] = outcome.refresh_token;
    }
  }
  return fails(`not noticed in ${rounds} rounds`, { rounds });
}

export default [
  {
    id: 'reuse-at-once',
    promises: {
      refused: { title: "Parent's parent presented at once: refused", sources: SOURCES },
      'ends-session': { title: "Parent's parent presented at once: the session ends", sources: SOURCES },
    },
    async run(t) {
      const { session, grandparent } = await threeGenerations(t);
      const reuse = await t.refresh(session, grandparent);
      await t.gap();
      const alive = await t.works(session);
      return {
        refused: verdict(reuse.refused, `${reuse.status}${reuse.error ? ` ${reuse.error}` : ''}`),
        'ends-session': verdict(!alive, alive ? 'the session goes on' : 'ended'),
      };
    },
  },
  {
    id: 'reuse-same-second',
    promises: {
      refused: { title: "Parent's parent presented within the same second: refused", sources: SOURCES },
    },
    async run(t) {
      const count = t.trials(12);
      const seen = [];
      for (let index = 0; index < count; index += 1) {
        const session = await t.signIn();
        const grandparent = session.refresh_token;
        // Without the pauses that other checks make for servers that count in seconds.
        const first = await t.refresh(session);
        const second = first.ok && (await t.refresh(session, first.refresh_token));
        if (second?.ok) seen.push((await t.refresh(session, grandparent)).ok);
      }
      if (!seen.length) return { refused: cannotTell('two uses within a second are refused already') };
      const taken = seen.filter(Boolean).length;
      return {
        refused: verdict(taken === 0, `accepted in ${taken} of ${seen.length}`, { taken, trials: seen.length }),
      };
    },
  },
  {
    id: 'reuse-others',
    moves: true,
    waits: LATER,
    promises: {
      spared: {
        title: `Reuse in one session (after ${LATER} s) spares the user's other sessions`,
        sources: ['RFC 9700 §4.14.2 (the tokens of one grant)'],
      },
    },
    async run(t) {
      if (!t.canPass(LATER)) return { spared: cannotTell(`longer than the run waits (${t.patience} s)`) };
      const { session, grandparent } = await threeGenerations(t);
      if (!session.user) return { spared: cannotTell('here every sign-in is another user') };
      const other = await t.signIn({ user: session.user });
      await t.pass(LATER, session);
      const reuse = await t.refresh(session, grandparent);
      await t.gap();
      const [alive, spared] = [await t.works(session), await t.works(other)];
      if (reuse.ok || alive) return { spared: cannotTell('reuse ends nothing') };
      return { spared: verdict(spared, spared ? 'the other session goes on' : 'all sessions of the user end') };
    },
  },
  {
    id: 'reuse-later',
    moves: true,
    waits: LATER,
    promises: {
      refused: { title: `Parent's parent presented after ${LATER} s: refused`, sources: SOURCES },
      'ends-session': { title: `Parent's parent presented after ${LATER} s: the session ends`, sources: SOURCES },
      'ends-access-tokens': {
        title: 'Reuse that ends a session ends its access tokens',
        sources: ['RFC 9700 §4.14.2', 'RFC 7009 §2.1 (for revocation)'],
      },
    },
    async run(t) {
      if (!t.canPass(LATER)) {
        const why = cannotTell(`longer than the run waits (${t.patience} s)`);
        return { refused: why, 'ends-session': why, 'ends-access-tokens': why };
      }
      const { session, grandparent } = await threeGenerations(t);
      await t.pass(LATER - 1, session);
      // A young access token, so that its own end is not taken for the session's. It is a rotation
      // more: the token presented next stays older than the wait.
      if ((session.expires_in ?? 300) <= LATER + 30) await t.rotate(session);
      await t.pass(1, session);
      const before = await t.opens(session.access_token, session);
      const reuse = await t.refresh(session, grandparent);
      await t.gap();
      const after = await t.opens(session.access_token, session);
      const alive = await t.works(session);
      const access = () => {
        if (alive) return fails('nothing ends');
        if (!before) return cannotTell('the access token opened nothing before either');
        return verdict(!after, after ? 'it opens the resource until it expires' : 'refused at once');
      };
      return {
        refused: verdict(reuse.refused, `${reuse.status}${reuse.error ? ` ${reuse.error}` : ''}`),
        'ends-session': verdict(!alive, alive ? 'the session goes on' : 'ended'),
        'ends-access-tokens': access(),
      };
    },
  },
  {
    id: 'lock-step-fast',
    moves: true,
    waits: 16,
    promises: {
      noticed: { title: 'Thief and owner in turns, 2 s a round: noticed within 8 rounds', sources: SOURCES },
    },
    run: async (t) => ({ noticed: await lockStep(t, 8, 2) }),
  },
  {
    id: 'lock-step-slow',
    moves: true,
    waits: 300,
    promises: {
      noticed: { title: 'Thief and owner in turns, 3 min a round: noticed within 8 rounds', sources: SOURCES },
    },
    async run(t) {
      if (t.movesTime) return { noticed: await lockStep(t, 8, 180) };
      if (t.patience < 90) return { noticed: cannotTell(`longer than the run waits (${t.patience} s)`) };
      const found = await lockStep(t, 2, 180);
      return { noticed: found.facts?.rounds ? cannotTell('not noticed in 2 rounds; more take too long') : found };
    },
  },
];
