// Many uses of one refresh token at the same moment: tabs, processes that share a token file, retries.

import { cannotTell, fails, verdict } from '../lib/result.js';
import { sideBySide, tally } from '../lib/trial.js';

const SOURCES = ['RFC 9700 §4.14.2', 'OAuth 2.1 §4.3.1', 'ASVS 5.0 10.4.5'];

/** Lets up to twenty of the tokens go on for two rounds, and says how many of them did. */
async function chains(t, session, tokens) {
  let heads = tokens.slice(0, 20);
  for (let round = 0; round < 2; round += 1) {
    await t.gap();
    const next = [];
    for (const head of heads) {
      const outcome = await t.refresh(session, head);
      if (outcome.ok) next.push(outcome.refresh_token);
    }
    heads = next;
  }
  return new Set(heads).size;
}

async function trial(t, session, uses) {
  // Introspection that does not even know the live token (Keycloak's is for those in `aud`) tells nothing.
  const told = await t.active(session, session.refresh_token);
  const outcomes = await t.refreshTogether(session, uses);
  const distinct = [...new Set(outcomes.filter(({ ok }) => ok).map((outcome) => outcome.refresh_token))];
  await t.gap();
  // Introspection first: using one branch may end the others.
  const actives = told ? await Promise.all(distinct.map((token) => t.active(session, token))) : [];
  const live = told ? actives.filter(Boolean).length : undefined;
  const seen = { statuses: outcomes.map(({ status }) => status), distinct: distinct.length, live };
  if (distinct.length > 1) {
    const forks = await chains(t, session, distinct);
    return { ...seen, forks, alive: forks > 0, forked: Math.max(live ?? 0, forks) > 1 };
  }
  const last = distinct[0] && (await t.refresh(session, distinct[0]));
  if (last?.ok) session.refresh_token = last.refresh_token;
  return { ...seen, forks: last?.ok ? 1 : 0, alive: Boolean(last?.ok), forked: false };
}

const check = (uses, wanted, width) => ({
  id: `parallel-${uses}`,
  promises: {
    'one-chain': { title: `${uses} parallel uses of one token: the chain does not fork`, sources: SOURCES },
    'session-survives': {
      title: `${uses} parallel uses of one token: the session goes on`,
      sources: ['wanted by clients; RFC 9700 §4.14.2 leaves it open'],
    },
    'all-served': {
      title: `${uses} parallel uses of one token: every use gets tokens`,
      sources: ['wanted by clients; RFC 9700 §4.14.2 leaves it open'],
    },
  },
  async run(t) {
    const count = t.trials(wanted);
    const seen = [];
    if (t.server.time?.perSession) {
      let session;
      for (let index = 0; index < count; index += 1) {
        session = await t.fresh(session);
        const one = await trial(t, session, uses);
        session.over = !one.alive || one.forked;
        seen.push(one);
      }
    } else {
      seen.push(...(await sideBySide(count, width, async () => trial(t, await t.signIn(), uses))));
    }
    // A use without any answer, on a busy machine, says nothing about the server.
    const answered = seen.filter(({ statuses }) => !statuses.includes(0));
    const decided = seen.filter(({ statuses, alive }) => alive || !statuses.includes(0));
    const forked = seen.filter((one) => one.forked);
    const dead = decided.filter((one) => !one.alive);
    const served = answered.filter(({ statuses }) => statuses.every((status) => status === 200));
    const facts = {
      trials: count,
      unanswered: count - answered.length,
      forked: forked.length,
      dead: dead.length,
      allServed: served.length,
      mostDistinct: Math.max(...seen.map(({ distinct }) => distinct)),
      mostLive: Math.max(...seen.map(({ live = 0, forks }) => Math.max(live, forks))),
      statuses: tally(seen.flatMap(({ statuses }) => statuses)),
    };
    const { mostDistinct, mostLive } = facts;
    const silent = cannotTell(`no answer to some uses in all of ${count} trials`, facts);
    return {
      'one-chain': forked.length
        ? fails(`forked in ${forked.length} of ${count} (up to ${mostDistinct} tokens, ${mostLive} seen live)`, facts)
        : verdict(true, `${count} of ${count}`, facts),
      'session-survives': !decided.length
        ? silent
        : verdict(
            dead.length === 0,
            dead.length
              ? `dead in ${dead.length} of ${decided.length}`
              : `alive in ${decided.length} of ${decided.length}`,
            facts,
          ),
      'all-served': !answered.length
        ? silent
        : verdict(
            served.length === answered.length,
            served.length === answered.length
              ? `${served.length} of ${answered.length}`
              : `${served.length} of ${answered.length}; ${tally(answered[0].statuses)} in the first`,
            facts,
          ),
    };
  },
});

export default [check(2, 100, 2), check(20, 20, 1), check(200, 3, 1)];
