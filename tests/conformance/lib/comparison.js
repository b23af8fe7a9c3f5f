// What the documents show of the results, and what was known about the servers before the kit.

import { VERDICTS } from './result.js';
import { MARKS, cell, dates, escape } from './report.js';

/** The README's table: the servers' usual set-ups, and what people ask first. */
const BRIEF = {
  rows: ['ratchet', 'openauth', 'oidc-provider', 'better-auth', 'keycloak', 'hydra'],
  promises: [
    'parallel-20.one-chain',
    'retry-30s.signed-in',
    'retry-5min.signed-in',
    'retry-1h.signed-in',
    'reuse-later.ends-session',
    'lock-step-fast.noticed',
    'lock-step-slow.noticed',
    'log-out.ends-access-token',
  ],
};

/** The promises of docs/comparison.md, for every row. */
const LONG = [
  'parallel-2.one-chain',
  'parallel-20.one-chain',
  'parallel-20.session-survives',
  'retry-1s.signed-in',
  'retry-30s.signed-in',
  'retry-90s.signed-in',
  'retry-5min.signed-in',
  'retry-1h.signed-in',
  'two-lost-answers.signed-in',
  'reuse-at-once.ends-session',
  'reuse-later.refused',
  'reuse-later.ends-session',
  'reuse-later.ends-access-tokens',
  'reuse-others.spared',
  'lock-step-fast.noticed',
  'lock-step-slow.noticed',
  'log-out.ends-access-token',
  'log-out.superseded-token',
  'log-out-race.stays-dead',
  'everywhere-race.ends',
  'password-race.ends',
  'crash.signed-in',
  'forged.store-not-asked',
];

const race = 'a race that is seldom lost was not lost in these trials';
const silent = 'the server did not answer in time on a busy machine';
const recovery = 'late recovery has changed it since';

/**
 * What a first run by hand found. `row` and `checks` say where the kit looks for it, and with which
 * verdict it finds it; `shows`, what the result has to say besides. `otherwise` is the reason if it
 * does not.
 */
export const FACTS = [
  {
    fact: '20 parallel uses end the session',
    row: 'keycloak',
    checks: { 'parallel-20.one-chain': 'holds', 'parallel-20.session-survives': 'does not hold' },
  },
  {
    fact: '20 parallel uses give 20 tokens that all live',
    row: 'keycloak-default',
    checks: { 'parallel-20.one-chain': 'does not hold' },
    shows: /20 tokens, 20 seen live/,
  },
  {
    fact: '20 parallel uses: few are served, and the session often ends',
    row: 'hydra',
    checks: { 'parallel-20.all-served': 'does not hold', 'parallel-20.session-survives': 'does not hold' },
  },
  {
    fact: '20 parallel uses give 20 tokens that all live (followed for two rotations, not for ever)',
    row: 'hydra-grace',
    checks: { 'parallel-20.one-chain': 'does not hold' },
    shows: /20 tokens, 20 seen live/,
  },
  {
    fact: 'On a store that answers at once, 20 parallel uses give one token and end the session',
    row: 'oidc-provider-instant',
    checks: { 'parallel-20.one-chain': 'holds', 'parallel-20.session-survives': 'does not hold' },
  },
  {
    fact: 'On a store that takes 3 ms, 20 parallel uses give 20 tokens that all live',
    row: 'oidc-provider',
    checks: { 'parallel-20.one-chain': 'does not hold' },
    shows: /20 tokens, 20 seen live/,
  },
  {
    fact: 'Of 20 parallel uses one is served; the session sometimes ends',
    row: 'better-auth',
    checks: { 'parallel-20.all-served': 'does not hold', 'parallel-20.session-survives': 'does not hold' },
    otherwise: race,
  },
  {
    fact: 'Of 20 parallel uses not all are served; the session goes on',
    row: 'better-auth-interval',
    checks: { 'parallel-20.all-served': 'does not hold', 'parallel-20.session-survives': 'holds' },
  },
  {
    fact: '20 parallel uses give the same token, and the session goes on',
    row: 'ratchet',
    checks: {
      'parallel-20.one-chain': 'holds',
      'parallel-20.session-survives': 'holds',
      'parallel-20.all-served': 'holds',
    },
  },
  ...['keycloak', 'hydra', 'oidc-provider', 'better-auth'].map((row) => ({
    fact: 'A lost answer, then the same token after 1, 30, 90 s: signed out',
    row,
    checks: {
      'retry-1s.signed-in': 'does not hold',
      'retry-30s.signed-in': 'does not hold',
      'retry-90s.signed-in': 'does not hold',
    },
  })),
  {
    fact: 'A lost answer, then the same token after 1, 30, 90 s: answered',
    row: 'keycloak-default',
    checks: { 'retry-1s.signed-in': 'holds', 'retry-30s.signed-in': 'holds', 'retry-90s.signed-in': 'holds' },
  },
  ...['hydra-grace', 'better-auth-interval'].map((row) => ({
    fact: 'A lost answer, then the same token after 1 and 30 s: answered; after 90 s: signed out',
    row,
    checks: { 'retry-1s.signed-in': 'holds', 'retry-30s.signed-in': 'holds', 'retry-90s.signed-in': 'does not hold' },
  })),
  {
    fact: 'A lost answer, then the same token after 1, 30, 90 s: answered (90 s with late recovery)',
    row: 'ratchet',
    checks: { 'retry-1s.signed-in': 'holds', 'retry-30s.signed-in': 'holds', 'retry-90s.signed-in': 'holds' },
    otherwise: recovery,
  },
  {
    fact: "The parent's parent ends the session and its access tokens",
    row: 'keycloak',
    checks: { 'reuse-at-once.ends-session': 'holds', 'reuse-later.ends-access-tokens': 'holds' },
  },
  {
    fact: "The parent's parent ends nothing",
    row: 'keycloak-default',
    checks: { 'reuse-at-once.ends-session': 'does not hold', 'reuse-later.ends-session': 'does not hold' },
  },
  ...['hydra', 'oidc-provider', 'better-auth'].map((row) => ({
    fact: "The parent's parent ends the session",
    row,
    checks: { 'reuse-at-once.ends-session': 'holds', 'reuse-later.ends-session': 'holds' },
  })),
  ...['hydra-grace', 'better-auth-interval'].map((row) => ({
    fact: "The parent's parent is answered at first, and ends the session later",
    row,
    checks: { 'reuse-at-once.refused': 'does not hold', 'reuse-later.ends-session': 'holds' },
  })),
  {
    fact: "The parent's parent is answered at first, and ends the session later; access tokens open until they expire",
    row: 'ratchet',
    checks: {
      'reuse-at-once.refused': 'does not hold',
      'reuse-later.ends-session': 'holds',
      'reuse-later.ends-access-tokens': 'does not hold',
    },
  },
  ...['keycloak', 'hydra', 'oidc-provider', 'better-auth'].map((row) => ({
    fact: 'Thief and owner in turns are noticed in round 1',
    row,
    checks: { 'lock-step-fast.noticed': 'holds' },
    shows: /^round 1:/,
  })),
  ...['keycloak-default', 'hydra-grace', 'better-auth-interval'].map((row) => ({
    fact: 'Thief and owner in quick turns are not noticed',
    row,
    checks: { 'lock-step-fast.noticed': 'does not hold' },
  })),
  {
    fact: 'Thief and owner in turns are noticed once the window is over, in round 1',
    row: 'ratchet',
    checks: { 'lock-step-slow.noticed': 'holds' },
    shows: /^round 1:/,
    otherwise: recovery,
  },
  ...['keycloak', 'keycloak-default', 'hydra', 'hydra-grace'].map((row) => ({
    fact: 'Some refreshes that race a revocation outlive it',
    row,
    checks: { 'log-out-race.stays-dead': 'does not hold' },
    otherwise: race,
  })),
  ...['oidc-provider', 'better-auth', 'better-auth-interval', 'ratchet'].map((row) => ({
    fact: 'No refresh that races a revocation outlives it',
    row,
    checks: { 'log-out-race.stays-dead': 'holds' },
  })),
  {
    fact: 'Revoking a superseded token is answered 200, and the successor lives',
    row: 'hydra',
    checks: { 'log-out.superseded-token': 'does not hold' },
    shows: /^200/,
  },
  ...['keycloak', 'keycloak-default', 'hydra-grace', 'oidc-provider', 'ratchet'].map((row) => ({
    fact: 'Revoking a superseded token ends the successor',
    row,
    checks: { 'log-out.superseded-token': 'holds' },
  })),
  ...['better-auth', 'better-auth-interval'].map((row) => ({
    fact: 'Revoking a superseded token is answered 400, and ends the successor',
    row,
    checks: { 'log-out.superseded-token': 'holds' },
    shows: /^400/,
  })),
  {
    fact: 'Reuse within the same second of the clock is taken for the first use',
    row: 'keycloak',
    checks: { 'reuse-same-second.refused': 'does not hold' },
    otherwise: silent,
  },
  {
    fact: 'Reuse ends every session of the user at the client',
    row: 'better-auth-interval',
    checks: { 'reuse-others.spared': 'does not hold' },
  },
  {
    fact: 'Some refreshes that race a revocation are answered 500',
    row: 'better-auth-interval',
    checks: { 'log-out-race.stays-dead': 'holds' },
    shows: /× 500/,
  },
  {
    fact: 'Rotations that were answered are undone by kill -9, on the development database',
    row: 'keycloak',
    checks: { 'crash.rotations-last': 'does not hold' },
    otherwise: silent,
  },
];

/** How a fact fares in a report: whether it is found again, and the results that say so. */
export function lookUp({ row: id, checks, shows }, report) {
  const { name, results } = report.rows.find((row) => row.id === id);
  const found = Object.entries(checks).map(([check, verdict]) => ({ check, wanted: verdict, result: results[check] }));
  const again = found.every(({ wanted, result }) => result?.verdict === wanted && (!shows || shows.test(result.what)));
  return { name, found, again };
}

/** Details in parentheses are left to the full table. */
const short = (result) => cell(result && { ...result, what: result.what.replace(/ \([^)]*\)/g, '') });

function table(report, rows, ids) {
  const legend = VERDICTS.map((verdict) => `${MARKS[verdict]} ${verdict}`).join(', ');
  const when = [...new Set(rows.flatMap((row) => dates(row).split(', ')))].sort().join(', ');
  return [
    `| measured over HTTP | ${rows.map(({ name, version }) => escape(`${name} ${version}`)).join(' | ')} |`,
    `| --- |${' --- |'.repeat(rows.length)}`,
    ...ids.map((id) => {
      const { title } = report.promises.find((promise) => promise.id === id);
      return `| ${escape(title)} | ${rows.map(({ results }) => short(results[id]) || 'no result').join(' | ')} |`;
    }),
    '',
    `${legend}. Measured ${when}.`,
  ].join('\n');
}

/** The README's table. */
export function brief(report) {
  return table(
    report,
    BRIEF.rows.map((id) => report.rows.find((row) => row.id === id)),
    BRIEF.promises,
  );
}

/** The table of docs/comparison.md. */
export const long = (report) => table(report, report.rows, LONG);

/** The table of docs/conformance.md: whether the kit finds again what was known. */
export function facts(report) {
  return [
    '| server | known from a run by hand | looked for in | found again |',
    '| --- | --- | --- | --- |',
    ...FACTS.map((fact) => {
      const { name, found, again } = lookUp(fact, report);
      const seen = found.map(({ result }) => cell(result) || 'no result').join('; ');
      const checks = Object.keys(fact.checks).map((id) => `\`${id}\``);
      const answer = again ? 'yes' : `**no**, ${fact.otherwise}`;
      return `| ${escape(name)} | ${escape(fact.fact)} | ${checks.join(', ')} | ${answer}: ${seen} |`;
    }),
  ].join('\n');
}
