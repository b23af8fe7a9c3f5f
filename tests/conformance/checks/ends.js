// Log-out and its relatives: what they end, and whether a refresh in flight outlives them.

import { cannotTell, fails, notOffered, verdict } from '../lib/result.js';
import { sleep } from '../lib/process.js';
import { tally } from '../lib/trial.js';

/** One refresh racing one end of the session. `offset` is in milliseconds after the refresh was sent. */
async function race(t, end, offset) {
  const session = await t.signIn();
  await t.gap();
  const [refreshed, ended] = await Promise.all([
    (async () => {
      if (offset < 0) await sleep(-offset);
      return t.refresh(session);
    })(),
    (async () => {
      if (offset > 0) await sleep(offset);
      return end(session);
    })(),
  ]);
  await t.gap();
  // Whatever the client may hold now: the answer of the refresh, or what it had before.
  const newest = refreshed.ok ? refreshed.refresh_token : session.refresh_token;
  const survives = (await t.works(session, newest)) || (newest !== session.refresh_token && (await t.works(session)));
  return { survives, status: refreshed.status, done: ended };
}

async function races(t, end, wanted) {
  const session = await t.signIn();
  await t.gap();
  const began = performance.now();
  await t.refresh(session);
  const usual = Math.min(performance.now() - began, 40);
  const count = t.trials(wanted);
  const seen = [];
  for (let index = 0; index < count; index += 1) {
    // From half a refresh before it to a whole one after it was sent.
    const offset = usual * (-0.5 + (1.5 * index) / Math.max(1, count - 1));
    seen.push(await race(t, end, offset));
  }
  const undone = seen.filter(({ done }) => !done).length;
  const survivors = seen.filter(({ survives, done }) => survives && done).length;
  const facts = {
    trials: count,
    survivors,
    notAcknowledged: undone,
    answers: tally(seen.map(({ status }) => status)),
  };
  const what = `${survivors} of ${count} sessions refresh afterwards; answers ${facts.answers}`;
  if (undone === count) return cannotTell('the end was never acknowledged', facts);
  return verdict(survivors === 0, undone ? `${what}; ${undone} ends not acknowledged` : what, facts);
}

const accepted = ({ status }) => status === 200 || status === 204;

export default [
  {
    id: 'log-out',
    promises: {
      'ends-refresh-token': { title: 'Revoking the refresh token: it refreshes no more', sources: ['RFC 7009 §2.1'] },
      'ends-access-token': {
        title: 'Revoking the refresh token: its access token is refused',
        sources: ['RFC 7009 §2.1 (SHOULD)'],
      },
      'unknown-token': { title: 'Revoking an unknown token: 200', sources: ['RFC 7009 §2.2'] },
      'superseded-token': {
        title: 'Revoking a superseded token ends the successor too',
        sources: ['RFC 7009 §2.1', 'RFC 9700 §4.14.2'],
      },
    },
    async run(t) {
      if (!t.server.request.revoke) {
        const none = notOffered('no endpoint revokes a token');
        return {
          'ends-refresh-token': none,
          'ends-access-token': none,
          'unknown-token': none,
          'superseded-token': none,
        };
      }
      const session = await t.signIn();
      await t.gap();
      const before = await t.opens(session.access_token, session);
      const answer = await t.revoke(session);
      const opens = await t.opens(session.access_token, session);
      const refreshes = await t.works(session);

      const unknown = await t.revoke(session, 'no-such-token-0123456789abcdefghijklmnopqrstuvwxyz');

      const other = await t.signIn();
      await t.gap();
      const superseded = other.refresh_token;
      await t.rotate(other);
      const rotates = other.refresh_token !== superseded;
      await t.gap();
      const late = await t.revoke(other, superseded);
      const child = await t.works(other);
      return {
        'ends-refresh-token': verdict(
          accepted(answer) && !refreshes,
          `${answer.status}, ${refreshes ? 'still refreshes' : 'refused'}`,
        ),
        'ends-access-token': before
          ? verdict(!opens, opens ? 'opens the resource until it expires' : 'refused at once')
          : cannotTell('the access token opened nothing before either'),
        'unknown-token': verdict(unknown.status === 200 || unknown.status === 204, String(unknown.status)),
        'superseded-token': rotates
          ? verdict(!child, `${late.status}, ${child ? 'the successor lives' : 'the successor is refused'}`)
          : notOffered('refreshing does not supersede the token'),
      };
    },
  },
  {
    id: 'log-out-race',
    promises: {
      'stays-dead': {
        title: 'A refresh racing a revocation: nothing refreshes afterwards',
        sources: ['RFC 7009 §2.1'],
      },
    },
    async run(t) {
      if (!t.server.request.revoke) return { 'stays-dead': notOffered('no endpoint revokes a token') };
      return { 'stays-dead': await races(t, async (session) => accepted(await t.revoke(session)), 120) };
    },
  },
  ...[
    ['everywhere', 'logging out everywhere', ['ASVS 5.0 7.4.5, 7.5.2', 'RFC 9700 §4.14.2 (MAY)']],
    ['password', 'a change of the password', ['ASVS 5.0 7.4.3', 'RFC 9700 §4.14.2 (MAY)']],
  ].map(([name, words, sources]) => ({
    id: `${name}-race`,
    promises: {
      ends: {
        title: `${words[0].toUpperCase()}${words.slice(1)}: refresh tokens of all sessions are refused`,
        sources,
      },
      'stays-dead': { title: `A refresh racing ${words}: nothing refreshes afterwards`, sources },
    },
    async run(t) {
      const end = t.server.ends?.[name];
      if (!end) {
        const none = notOffered('no such operation in this set-up');
        return { ends: none, 'stays-dead': none };
      }
      const one = await t.signIn();
      const two = await t.signIn({ user: one.user });
      await t.gap();
      if (!(await end(one)))
        return { ends: cannotTell('the end was not acknowledged'), 'stays-dead': cannotTell('the same') };
      const living = [await t.works(one), await t.works(two)].filter(Boolean).length;
      if (living)
        return { ends: fails(`${living} of 2 sessions still refresh`), 'stays-dead': fails('it ends nothing at rest') };
      return { ends: verdict(true, '2 of 2 refused'), 'stays-dead': await races(t, end, 40) };
    },
  })),
];
