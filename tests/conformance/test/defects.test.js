// Every promise is seen to fail on a server that breaks it, and to hold on one that does not.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';

import { checks, promises } from '../checks/index.js';
import { runChecks } from '../lib/runner.js';
import { startReference } from '../reference/adapter.js';
import { DEFECTS } from '../reference/server.js';

const options = { patience: 5, trials: (wanted) => Math.max(Math.min(wanted, 12), Math.round(wanted / 10)) };

async function resultsOf(defects, chosen = checks) {
  return runChecks({ start: () => startReference(defects) }, chosen, options);
}

/** Which mistake breaks which promises; each at least these. */
const BREAKS = {
  'read then write': ['parallel-2.one-chain', 'parallel-20.one-chain', 'parallel-200.one-chain'],
  strict: [
    'parallel-2.session-survives',
    'parallel-20.session-survives',
    'parallel-200.session-survives',
    'retry-1s.signed-in',
    'retry-30s.signed-in',
    'retry-90s.signed-in',
    'retry-5min.signed-in',
    'retry-1h.signed-in',
    'two-lost-answers.signed-in',
    'crash.signed-in',
  ],
  'losers refused': ['parallel-2.all-served', 'parallel-20.all-served', 'parallel-200.all-served'],
  'grace for ever': [
    'reuse-at-once.refused',
    'reuse-same-second.refused',
    'reuse-at-once.ends-session',
    'reuse-later.refused',
    'reuse-later.ends-session',
    'lock-step-fast.noticed',
    'lock-step-slow.noticed',
  ],
  'no reuse detection': [
    'reuse-at-once.ends-session',
    'reuse-later.ends-session',
    'reuse-later.ends-access-tokens',
    'lock-step-slow.noticed',
  ],
  'reuse ends all sessions': ['reuse-others.spared'],
  'no rotation': ['lock-step-fast.noticed', 'lock-step-slow.noticed'],
  'no late limit': ['lock-step-fast.noticed', 'lock-step-slow.noticed'],
  'access tokens outlive sessions': ['log-out.ends-access-token', 'reuse-later.ends-access-tokens'],
  'revocation races': ['log-out-race.stays-dead', 'everywhere-race.stays-dead', 'password-race.stays-dead'],
  'revoked parent spares child': ['log-out.superseded-token'],
  'revocation does nothing': ['log-out.ends-refresh-token', 'log-out.ends-access-token', 'log-out-race.stays-dead'],
  'unknown revocation refused': ['log-out.unknown-token'],
  'everywhere ends one': ['everywhere-race.ends'],
  'password ends nothing': ['password-race.ends', 'password-race.stays-dead'],
  'no idle end': ['idle-end.holds'],
  'idle end does not slide': ['idle-end.slides', 'absolute-end.holds'],
  'no absolute end': ['absolute-end.holds'],
  'late expiry': ['idle-end.holds', 'absolute-end.holds', 'access-token-end.on-time'],
  'lenient tokens': ['forged.refused', 'forged.store-not-asked'],
  'guessing ends sessions': ['forged.session-unharmed', 'forged.store-not-asked'],
  'forged tokens reach the store': ['forged.store-not-asked'],
  'clients not told apart': ['foreign.refused'],
  'cacheable answers': ['exchange.no-store'],
  'wrong errors': ['exchange.error-shape'],
  'refresh by GET': ['exchange.no-get'],
  'token in the query': ['exchange.no-query'],
  'no challenge': ['exchange.challenge'],
  'access token in the query': ['exchange.no-query-access-token'],
  'alg none': ['access-token.unsigned'],
  'signature not checked': ['access-token.unsigned', 'access-token.edited', 'access-token.hmac-confusion'],
  'hmac confusion': ['access-token.hmac-confusion'],
  'any token opens': ['access-token.token-confusion'],
  untyped: ['access-token.typ'],
  'dpop not checked': ['dpop.refresh', 'dpop.resource'],
  'dpop theft ends session': ['dpop.session-unharmed'],
  'keys forgotten': ['key-rotation.no-refusals'],
  'writes behind': ['crash.signed-in', 'crash.rotations-last'],
  'crash after write is theft': ['crash.signed-in'],
  'wrong issuer': ['metadata.issuer'],
  'missing endpoint': ['metadata.endpoints'],
  'grant not named': ['metadata.grant'],
  'private keys published': ['metadata.keys'],
};

test('on the server without a defect every promise holds', async () => {
  const results = await resultsOf([]);
  const others = [...results].filter(([, { verdict }]) => verdict !== 'holds');
  assert.deepEqual(others, []);
  assert.equal(results.size, promises.length);
});

// They mostly wait: side by side, but not so many that the races are blurred.
describe('defects', { concurrency: 3 }, () => {
  for (const [defect, broken] of Object.entries(BREAKS)) {
    test(`a server with the defect '${defect}' is found out`, async () => {
      const concerned = checks.filter(({ id }) => broken.some((promise) => promise.startsWith(`${id}.`)));
      const results = await resultsOf([defect], concerned);
      for (const promise of broken) {
        assert.equal(
          results.get(promise)?.verdict,
          'does not hold',
          `${promise}: ${JSON.stringify(results.get(promise))}`,
        );
      }
    });
  }
});

test('every defect has a test, and every promise is broken by some defect', () => {
  assert.deepEqual(Object.keys(BREAKS).sort(), Object.keys(DEFECTS).sort());
  const broken = new Set(Object.values(BREAKS).flat());
  assert.deepEqual(
    promises.map(({ id }) => id).filter((id) => !broken.has(id)),
    [],
  );
});
