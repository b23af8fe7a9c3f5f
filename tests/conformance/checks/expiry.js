// The ends of a session: unused for too long, and too old however often it is used.

import { cannotTell, fails, notOffered, verdict } from '../lib/result.js';

const MARGIN = 3;

/** Real waits: an answer that came after the end was asked for too late to decide anything. */
function inTime(t, began, seconds) {
  const age = (Date.now() - began) / 1000;
  if (!t.movesTime && age > seconds)
    throw new Error(`the machine is too slow: ${age.toFixed(1)} s instead of ${seconds} s`);
}

async function settings(t) {
  if (t.movesTime) return { lifetimes: t.server.lifetimes, options: {} };
  return { lifetimes: t.server.shortLifetimes, options: { lifetimes: 'short' } };
}

export default [
  {
    id: 'idle-end',
    moves: true,
    waits: 30,
    promises: {
      holds: {
        title: `An unused session ends on time (±${MARGIN} s)`,
        sources: ['RFC 9700 §4.14.2 (SHOULD expire)', 'ASVS 5.0 7.3.1'],
      },
      slides: { title: 'Refreshing moves the idle end', sources: ['RFC 9700 §4.14.2'] },
    },
    async run(t) {
      const { lifetimes, options } = await settings(t);
      if (!lifetimes?.idle) {
        const none = notOffered('no idle end is set');
        return { holds: none, slides: none };
      }
      const { idle } = lifetimes;
      if (!t.canPass(2 * idle)) {
        const why = cannotTell(`longer than the run waits (${t.patience} s)`);
        return { holds: why, slides: why };
      }
      const used = async () => {
        let began = Date.now();
        const session = await t.signIn(options);
        await t.pass(idle - MARGIN, session);
        const early = await t.refresh(session);
        inTime(t, began, idle - 0.5);
        if (!early.ok) return { early };
        began = Date.now();
        await t.pass(idle - MARGIN, session);
        const again = await t.refresh(session, early.refresh_token);
        inTime(t, began, idle - 0.5);
        return { early, again };
      };
      const unused = async () => {
        const session = await t.signIn(options);
        await t.pass(idle + MARGIN, session);
        return t.refresh(session);
      };
      const [{ early, again }, late] = t.movesTime
        ? [await used(), await unused()]
        : await Promise.all([used(), unused()]);
      return {
        holds: verdict(
          early.ok && late.refused,
          `${idle} s: ${MARGIN} s before ${early.status}, ${MARGIN} s after ${late.status}`,
          { idle, before: early.status, after: late.status },
        ),
        slides: again
          ? verdict(again.ok, `used in time, then once more: ${again.status}`)
          : fails('refused before its end'),
      };
    },
  },
  {
    id: 'absolute-end',
    moves: true,
    waits: 40,
    promises: {
      holds: {
        title: `A session ends at its age (±${MARGIN} s), however often it is used`,
        sources: ['ASVS 5.0 10.4.8, 7.3.2'],
      },
    },
    async run(t) {
      const { lifetimes, options } = await settings(t);
      if (!lifetimes?.absolute) return { holds: notOffered('no absolute end is set') };
      const { idle, absolute } = lifetimes;
      if (!t.canPass(absolute)) return { holds: cannotTell(`longer than the run waits (${t.patience} s)`) };
      const began = Date.now();
      const session = await t.signIn(options);
      // Where time is moved, the time that the steps themselves take comes on top of it.
      let moved = 0;
      const age = () => (Date.now() - began) / 1000 + moved;
      const until = async (seconds) => {
        const rest = seconds - age();
        await t.pass(rest, session);
        if (t.movesTime) moved += Math.max(0, rest);
      };
      const step = Math.max(1.5, Math.min(idle ?? absolute, absolute) / 2);
      for (let next = step; next < absolute - MARGIN; next += step) {
        await until(next);
        const outcome = await t.refresh(session);
        inTime(t, began, absolute - 0.5);
        if (!outcome.ok)
          return { holds: fails(`refused ${(absolute - age()).toFixed(0)} s before its end of ${absolute} s`) };
        session.refresh_token = outcome.refresh_token;
      }
      await until(absolute - MARGIN);
      const before = await t.refresh(session);
      inTime(t, began, absolute - 0.5);
      if (before.ok) session.refresh_token = before.refresh_token;
      await until(absolute + MARGIN);
      const after = await t.refresh(session);
      return {
        holds: verdict(
          before.ok && after.refused,
          `${absolute} s: ${MARGIN} s before ${before.status}, ${MARGIN} s after ${after.status}`,
          { absolute, before: before.status, after: after.status },
        ),
      };
    },
  },
];
