// A client in all the orders in which things happen to it, and the mistakes that must not go unseen.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { dpop } from '../src/dpop.js';
import { createClient } from '../src/index.js';
import { isSecondFactorRequired, secondFactor } from '../src/second-factor.js';
import { asUrl, bundle, type Mistake } from './bundle.js';
import { Simulation, type Library, type Setting, type Step } from './simulation.js';

const SETTINGS: Record<string, Setting> = {
  'in cookie mode': { mode: 'cookie', storage: false, locks: true, channel: true },
  'in cookie mode without locks': { mode: 'cookie', storage: false, locks: false, channel: true },
  'in memory': { mode: 'token', storage: false, locks: true, channel: true },
  'in memory without locks': { mode: 'token', storage: false, locks: false, channel: true },
  'in a storage': { mode: 'token', storage: true, locks: true, channel: true },
  'in a storage of several programs': { mode: 'token', storage: true, locks: true, channel: false },
  'in cookie mode, bound to a key': { mode: 'cookie', storage: false, locks: true, channel: true, dpop: true },
  'in a storage, bound to a key': { mode: 'token', storage: true, locks: true, channel: true, dpop: true },
  'in cookie mode, bound to a key, with a second factor': {
    mode: 'cookie', storage: false, locks: true, channel: true, dpop: true, secondFactor: true,
  },
};

const tab = fc.nat(2);
const one = <T extends string>(...does: T[]) => fc.constantFrom(...does);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: one('signIn'), tab, user: one('ada', 'grace') }) },
  { weight: 2, arbitrary: fc.record({ does: one('signOut'), tab }) },
  { weight: 4, arbitrary: fc.record({ does: one('refresh', 'fetch'), tab }) },
  { weight: 1, arbitrary: fc.record({ does: one('getAccessToken', 'reload'), tab }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: one('network'),
      is: one('fine', 'down', 'lossy', 'silent', 'HTML', 'gateway'),
    }),
  },
  { weight: 1, arbitrary: fc.record({ does: one('storage'), is: one('fine', 'forgetful', 'hung', 'blocked') }) },
  { weight: 3, arbitrary: fc.record({ does: one('wait'), seconds: fc.constantFrom(1, 20, 70, 250, 400) }) },
  { weight: 1, arbitrary: fc.record({ does: one('lock is never given back', 'session is revoked') }) },
);
/** What happens to proofs. */
const proofStep: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ does: one('proofs'), are: one('fine', 'refused') }),
  fc.record({ does: one('clock'), ahead: fc.constantFrom(0, 45, 3_600, -3_600) }),
);
const length = { minLength: 1, maxLength: 12 };
const steps = fc.array(step, length);
const stepsOfBound = fc.array(fc.oneof({ weight: 5, arbitrary: step }, { weight: 1, arbitrary: proofStep }), length);
const chances = fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 });

/** What was found once, and is looked at first. */
const FOUND: [Setting, Step[], number[]][] = [
  [
    // A cookie of an earlier session comes after a newer sign-in, because a lock took too long.
    SETTINGS['in cookie mode']!,
    [
      { does: 'signIn', tab: 0, user: 'ada' },
      { does: 'wait', seconds: 400 },
      { does: 'signIn', tab: 0, user: 'ada' },
      { does: 'network', is: 'down' },
      { does: 'fetch', tab: 0 },
      { does: 'signIn', tab: 0, user: 'ada' },
      { does: 'signIn', tab: 0, user: 'ada' },
    ],
    [86, 888, 33],
  ],
  [
    // An answer overtakes a message, and the storage keeps the older token.
    SETTINGS['in a storage']!,
    [{ does: 'signIn', tab: 0, user: 'ada' }, { does: 'lock is never given back' }, { does: 'wait', seconds: 1 }],
    [0, 567, 409],
  ],
  [
    // The service refuses the proof of a live session.
    SETTINGS['in cookie mode, bound to a key']!,
    [
      { does: 'signIn', tab: 0, user: 'ada' },
      { does: 'wait', seconds: 20 },
      { does: 'proofs', are: 'refused' },
      { does: 'refresh', tab: 0 },
      { does: 'wait', seconds: 20 },
    ],
    [1],
  ],
];

/** Looks for a sequence that breaks a rule. */
function search(library: Library, setting: Setting, runs: number, endOnFailure = false) {
  const sequence = setting.dpop ? stepsOfBound : steps;
  const property = fc.asyncProperty(fc.constantFrom(setting), sequence, chances, (_setting, taken, drawn) =>
    new Simulation(library, setting, drawn).run(taken),
  );
  const examples = FOUND.filter(([where]) => where === setting);
  return fc.check(property, { numRuns: runs, seed: Number(process.env.SEED ?? 17), examples, endOnFailure });
}

describe('a client', () => {
  it.each(Object.entries(SETTINGS))('keeps the rules %s', async (_name, setting) => {
    const library = { createClient, dpop, isSecondFactorRequired, secondFactor };
    const found = await search(library, setting, Number(process.env.RUNS ?? 150));
    expect(found.failed && `${found.errorInstance}\n${fc.defaultReportMessage(found)}`).toBe(false);
  });
});

/** Mistakes, each with the setting in which it does harm and what is seen of it. */
const MISTAKES: Record<string, [keyof typeof SETTINGS, RegExp, Mistake]> = {
  'takes an answer of an earlier session': [
    'in memory without locks',
    /is older|shows? |says signed_out/,
    { file: 'state.ts', instead: 'if (since && since.about !== about) return known;', is: '' },
  ],
  'brings a session back that has ended': [
    'in memory without locks',
    /is back|still shows|the tabs show/,
    { file: 'state.ts', instead: '[about, !session, ', is: '[about, ' },
  ],
  'believes the last word': [
    'in memory without locks',
    /is older|is back|the tabs show|still shows/,
    { file: 'state.ts', instead: '[about, !session, ageOf(session?.refreshToken), at].join()', is: 'String(at)' },
  ],
  'lets an older session lose against the newer one that its cookie has replaced': [
    'in cookie mode',
    /stopped refreshing|the tabs show/,
    { file: 'state.ts', instead: 'about = own > about ? own : `${about}~${own}`', is: 'about = own' },
  ],
  'forgets who was signed in before': [
    'in memory',
    /says refreshed|says signed_in/,
    { file: 'state.ts', instead: 'previousUserId && previousUserId !== userId', is: 'false' },
  ],
  'repeats a request as somebody else': [
    'in memory',
    /was sent as/,
    {
      file: 'index.ts',
      instead: '(word.session?.user.id === userId ? word.session?.accessToken : undefined)',
      is: 'word.session?.accessToken',
    },
  ],
  'takes the word of a gateway for that of the service': [
    'in memory',
    /says signed_out .*unavailable/,
    { file: 'session.ts', instead: '!/unavailable|', is: '!/' },
  ],
  'gives refreshing up after an odd answer': [
    'in memory',
    /stopped refreshing|still shows/,
    { file: 'session.ts', instead: "code !== 'unavailable' && ", is: '' },
  ],
  'gives resuming up after a fault': [
    'in a storage',
    /is unknown/,
    { file: 'index.ts', instead: 'if (!word.reason) schedule(', is: 'if (word.session) schedule(' },
  ],
  'waits for a lock without end': [
    'in memory',
    /never settled|is unknown/,
    { file: 'turns.ts', instead: 'await within(LOCK, granted).catch(() => {});', is: 'await granted;' },
  ],
  'waits for the storage without end': [
    'in a storage',
    /never settled|is unknown|stopped refreshing/,
    { file: 'index.ts', instead: 'within(STORAGE, (async () => work())())', is: '(async () => work())()' },
  ],
  'waits for an answer without end': [
    'in memory',
    /never settled|stopped refreshing/,
    { file: 'index.ts', instead: 'within(ANSWER, answer())', is: 'answer()' },
  ],
  'believes the storage rather than its memory': [
    'in a storage',
    /an old token was presented|is older/,
    { file: 'index.ts', instead: 'kept && ageOf(kept) >= ageOf(own) ? kept : own', is: 'kept || own' },
  ],
  'believes its memory rather than the storage': [
    'in a storage of several programs',
    /an old token was presented/,
    { file: 'index.ts', instead: 'kept && ageOf(kept) >= ageOf(own) ? kept : own', is: 'own || kept' },
  ],
  'presents a bound token as a bearer': [
    'in cookie mode, bound to a key',
    /a bound token as a bearer/,
    { file: 'dpop.ts', instead: '`DPoP ${token}`', is: '`Bearer ${token}`' },
  ],
  'does not repeat a request whose nonce is too old': [
    'in cookie mode, bound to a key',
    /a proof was refused \(use_dpop_nonce|is unknown/,
    { file: 'dpop.ts', instead: 'if (next && again && ', is: 'if (false && ' },
  ],
  'does not take the new nonce': [
    'in cookie mode, bound to a key',
    /a proof was refused \(use_dpop_nonce|is unknown/,
    { file: 'dpop.ts', instead: 'nonces[origin] = next;', is: '' },
  ],
  'does not correct its clock': [
    'in cookie mode, bound to a key',
    /a proof was refused \(invalid_dpop_proof/,
    { file: 'dpop.ts', instead: 'if (date) ahead =', is: 'if (false) ahead =' },
  ],
  'does not bind a token to its proof': [
    'in cookie mode, bound to a key',
    /a proof was refused \(invalid_dpop_proof/,
    { file: 'dpop.ts', instead: 'const ath = token &&', is: 'const ath = undefined &&' },
  ],
  'sends a code without a proof': [
    'in cookie mode, bound to a key, with a second factor',
    /a request without a proof/,
    { file: 'dpop.ts', instead: '(authenticate|passkeys|refresh|logout)/', is: '(authenticate|refresh|logout)$/' },
  ],
  'takes a refused proof for the end of the session': [
    'in cookie mode, bound to a key',
    /says signed_out .*invalid_dpop_proof/,
    {
      file: 'session.ts',
      instead: '/proof/.test(code) ? !session : status === 401 && ',
      is: 'status! < 500 && ',
    },
  ],
};

describe('it is found if a client', () => {
  it.each(Object.entries(MISTAKES))('%s', async (_name, [setting, seen, mistake]) => {
    const library = await import(/* @vite-ignore */ asUrl(await bundle(['index.ts', 'dpop.ts', 'second-factor.ts'], { mistake })));
    const found = await search(library, SETTINGS[setting]!, 3_000, true);
    expect(String(found.errorInstance)).toMatch(seen);
  });
});
