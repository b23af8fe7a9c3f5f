// The answer was lost, and the client sends the token that it still has.

import { cannotTell, fails, holds, verdict } from '../lib/result.js';

const SOURCES = ['wanted by clients; RFC 6749 §6 and RFC 9700 §4.14.2 leave it open'];
const DELAYS = { '1s': 1, '30s': 30, '90s': 90, '5min': 300, '1h': 3600 };
const words = { '1s': '1 s', '30s': '30 s', '90s': '90 s', '5min': '5 min', '1h': '1 h' };

async function retryAfter(t, seconds) {
  if (!t.canPass(seconds)) return cannotTell(`longer than the run waits (${t.patience} s)`);
  const session = await t.signIn();
  await t.gap();
  const lost = await t.refresh(session);
  if (!lost.ok) return cannotTell(`the first use was answered ${lost.status}`);
  // A pause of one clock second is no news for a server that counts in seconds.
  await t.pass(Math.max(seconds, t.movesTime ? 0 : (t.server.gap ?? 0)), session);
  const again = await t.refresh(session);
  if (!again.ok) {
    await t.gap();
    const dead = !(await t.works(session, lost.refresh_token));
    return fails(`${again.status}${dead ? ', session dead' : ', successor lives'}`, { status: again.status, dead });
  }
  await t.gap();
  const alive = await t.works(session, again.refresh_token);
  const how =
    again.refresh_token === session.refresh_token
      ? 'never rotated'
      : again.refresh_token === lost.refresh_token
        ? 'the same successor'
        : 'another successor';
  return verdict(alive, alive ? `200, ${how}` : '200, but what it gave does not refresh', { how });
}

export default [
  ...Object.entries(DELAYS).map(([name, seconds]) => ({
    id: `retry-${name}`,
    moves: true,
    waits: seconds,
    promises: {
      'signed-in': { title: `Answer lost, same token again after ${words[name]}: still signed in`, sources: SOURCES },
    },
    run: async (t) => ({ 'signed-in': await retryAfter(t, seconds) }),
  })),
  {
    id: 'two-lost-answers',
    moves: true,
    promises: { 'signed-in': { title: 'Two answers lost in a row: still signed in', sources: SOURCES } },
    async run(t) {
      const session = await t.signIn();
      const statuses = [];
      for (let use = 0; use < 3; use += 1) {
        await t.gap();
        const outcome = await t.refresh(session);
        statuses.push(outcome.status);
        if (!outcome.ok) return { 'signed-in': fails(`answers ${statuses.join(', ')}`) };
        if (use === 2) {
          await t.gap();
          const alive = await t.works(session, outcome.refresh_token);
          return { 'signed-in': alive ? holds('3 × 200, and it goes on') : fails('3 × 200, then dead') };
        }
        await t.pass(1, session);
      }
    },
  },
];
