// Refresh tokens that the server did not issue.

import { cannotTell, notOffered, verdict } from '../lib/result.js';
import { tally } from '../lib/trial.js';

const ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

/** Another letter that differs in its highest bit: it cannot decode to the same bytes. */
function otherLetter(letter) {
  const at = ALPHABET.indexOf(letter);
  return at < 0 ? 'A' : ALPHABET[(at + 32) % 64];
}

const changedAt = (token, index) => token.slice(0, index) + otherLetter(token[index]) + token.slice(index + 1);

/** What is made of a genuine token, by name. */
export function forgeries(token, accessToken) {
  const middle = Math.floor(token.length / 2);
  return {
    'one letter': 'x',
    'random letters': Array.from({ length: token.length }, (_, index) => ALPHABET[(index * 37 + 11) % 64]).join(''),
    'first letter changed': changedAt(token, 0),
    'middle letter changed': changedAt(token, middle),
    'last letter changed': changedAt(token, token.length - 1),
    'last letter missing': token.slice(0, -1),
    'second half missing': token.slice(0, middle),
    'a letter more': `${token}A`,
    'padding added': `${token}=`,
    twice: token + token,
    'letters swapped in case': token.replace(/[a-z]/gi, (letter) =>
      letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase(),
    ),
    'a NUL in it': `${token.slice(0, middle)}\0${token.slice(middle + 1)}`,
    'very long': 'A'.repeat(6000),
    'the access token': accessToken,
  };
}

export default [
  {
    id: 'forged',
    promises: {
      refused: { title: 'Forged and misspelt refresh tokens are refused', sources: ['RFC 6749 §5.2, §10.10'] },
      'session-unharmed': {
        title: 'Forged tokens do not end the session',
        sources: ['RFC 9700 §4.14.2 (reuse, not guessing, ends a session)'],
      },
      'store-not-asked': {
        title: 'The store is not asked about forged tokens',
        sources: ['availability; no RFC asks for it'],
      },
    },
    async run(t) {
      const session = await t.signIn();
      await t.gap();
      // What a running server asks its store by itself, in as much time.
      const calls = t.server.storeCalls;
      const all = Object.entries(forgeries(session.refresh_token, session.access_token));
      const before = calls && (await calls());
      const outcomes = [];
      for (const [name, token] of all) {
        const outcome = await t.refresh(session, token);
        outcomes.push({ name, ...outcome });
        // Taken for the live one: then its successor is what the owner holds.
        if (outcome.ok) {
          session.refresh_token = outcome.refresh_token;
          await t.gap();
        }
      }
      const asked = calls && (await calls()) - before;
      await t.gap();
      const alive = await t.works(session);
      const accepted = outcomes.filter(({ refused }) => !refused);
      return {
        refused: verdict(
          accepted.length === 0,
          accepted.length
            ? accepted.map(({ name, status }) => `${name}: ${status}`).join('; ')
            : `${all.length} of ${all.length}: ${tally(outcomes.map(({ status, error }) => `${status} ${error ?? ''}`.trim()))}`,
        ),
        'session-unharmed': verdict(alive, alive ? `alive after ${all.length} of them` : 'the session is dead'),
        'store-not-asked': calls
          ? verdict(asked === 0, `${asked} calls for ${all.length} tokens`, { calls: asked })
          : cannotTell('no proxy between the server and its store'),
      };
    },
  },
  {
    id: 'foreign',
    promises: {
      refused: {
        title: "Another client's refresh token is refused, and lives on",
        sources: ['RFC 6749 §6, §10.4 (bound to the client)'],
      },
    },
    async run(t) {
      if (!t.server.otherClient) return { refused: notOffered('one client, or clients are not told apart here') };
      const session = await t.signIn();
      await t.gap();
      const stolen = await t.refresh({ ...session, client: t.server.otherClient });
      await t.gap();
      const alive = await t.works(session);
      return {
        refused: verdict(stolen.refused && alive, `${stolen.status}, the owner's ${alive ? 'lives on' : 'is dead'}`),
      };
    },
  },
];
