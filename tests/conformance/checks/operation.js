// Operators and accidents: keys are rotated under load, and the server is killed.

import { cannotTell, notOffered, verdict } from '../lib/result.js';
import { sleep } from '../lib/process.js';
import { tally, times } from '../lib/trial.js';

export default [
  {
    id: 'key-rotation',
    promises: {
      'no-refusals': {
        title: 'Rotating keys under load refuses no genuine token',
        sources: ['RFC 9068 §4 (keys by `kid`)', 'RFC 7517 §4.5'],
      },
    },
    async run(t) {
      if (!t.server.rotateKeys) return { 'no-refusals': notOffered('no such operation in this set-up') };
      const sessions = await times(4, () => t.signIn());
      await t.gap();
      const outcomes = [];
      // Of sessions that are left alone: some servers end an access token when its session is refreshed.
      const others = await times(2, () => t.signIn());
      let over = false;
      const load = sessions.map(async (session) => {
        while (!over) {
          const next = await t.refresh(session);
          outcomes.push(next.ok ? 'refreshed' : `refresh ${next.status}`);
          if (next.ok) Object.assign(session, { refresh_token: next.refresh_token, access_token: next.access_token });
          const { status } = await t.resource(session.access_token, session);
          outcomes.push(status === 200 ? 'opened' : `resource ${status}`);
          await sleep(Math.max(50, (t.server.gap ?? 0) * 1000));
        }
      });
      let rotations = 0;
      try {
        for (; rotations < 3; rotations += 1) {
          await sleep(700);
          await t.server.rotateKeys();
          for (const other of others) {
            const { status } = await t.resource(other.access_token, other);
            outcomes.push(status === 200 ? 'opened' : `resource ${status}`);
          }
        }
        await sleep(700);
      } finally {
        over = true;
        await Promise.all(load);
      }
      const refused = outcomes.filter((outcome) => / 4\d\d$/.test(outcome));
      return {
        'no-refusals': verdict(
          refused.length === 0,
          `${rotations} rotations, ${outcomes.length} requests: ${refused.length ? tally(refused) : 'none refused'}`,
          { seen: tally(outcomes) },
        ),
      };
    },
  },
  {
    id: 'crash',
    alone: true,
    promises: {
      'signed-in': {
        title: 'The server is killed between writing and answering: clients that retry are still signed in',
        sources: ['wanted by clients; no RFC asks for it'],
      },
      'rotations-last': {
        title: 'The server is killed: a rotation that was answered is not undone',
        sources: ['RFC 9700 §4.14.2 (the old token is no longer valid)'],
      },
    },
    async run(t) {
      if (!t.server.crash) {
        const none = notOffered('no store of its own that outlives it in this set-up');
        return { 'signed-in': none, 'rotations-last': none };
      }
      const count = 8;
      const rounds = t.trials(t.server.crash.rounds ?? 20);
      let [dead, undone, seen] = [0, 0, 0];
      for (let round = 0; round < rounds; round += 1) {
        const sessions = await times(count, () => t.signIn());
        await t.gap();
        let over = false;
        // Out of step, so that the kill meets every stage of a use.
        const load = sessions.map(async (session, index) => {
          while (!over) {
            await sleep(index);
            const next = await t.refresh(session, session.refresh_token, { timeout: t.server.crash.timeout });
            if (!next.ok) return;
            session.earlier = [session.refresh_token, ...(session.earlier ?? [])];
            session.refresh_token = next.refresh_token;
            await sleep((t.server.gap ?? 0) * 1000);
          }
        });
        await sleep(150 + 7 * round + (t.server.gap ?? 0) * 1000);
        await t.server.crash.kill();
        over = true;
        await Promise.all(load);
        await t.server.crash.restart();
        for (const session of sessions) {
          seen += 1;
          if (!(await t.works(session))) {
            dead += 1;
            // The newest token that was answered is refused. Has the server gone back to an older one?
            for (const earlier of (session.earlier ?? []).slice(0, 50)) {
              if (await t.works(session, earlier)) {
                undone += 1;
                break;
              }
            }
          }
        }
      }
      if (seen === 0) return { 'signed-in': cannotTell('no session'), 'rotations-last': cannotTell('no session') };
      return {
        'signed-in': verdict(dead === 0, `${dead} of ${seen} sessions lost in ${rounds} kills`, {
          dead,
          seen,
          kills: rounds,
        }),
        'rotations-last': verdict(undone === 0, `${undone} of ${seen} undone in ${rounds} kills`, {
          undone,
          seen,
          kills: rounds,
        }),
      };
    },
  },
];
