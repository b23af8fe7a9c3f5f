// A client in all the orders in which things happen to it, and the mistakes that must not go unseen.

import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { createClient } from '../src/index.js';
import { asUrl, bundle, type Mistake } from './bundle.js';
import { Simulation, type Setting, type Step } from './simulation.js';

const SETTINGS: Record<string, Setting> = {
  'in cookie mode': { mode: 'cookie', storage: false, locks: true },
  'in cookie mode without locks': { mode: 'cookie', storage: false, locks: false },
  'in memory': { mode: 'token', storage: false, locks: true },
  'in memory without locks': { mode: 'token', storage: false, locks: false },
  'in a storage': { mode: 'token', storage: true, locks: true },
};

const tab = fc.nat(2);
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ does: fc.constant('signIn' as const), tab, user: fc.constantFrom('ada', 'grace') }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant('signOut' as const), tab }) },
  { weight: 4, arbitrary: fc.record({ does: fc.constantFrom('refresh' as const, 'fetch' as const), tab }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('getAccessToken' as const, 'reload' as const), tab }) },
  {
    weight: 2,
    arbitrary: fc.record({
      does: fc.constant('network' as const),
      is: fc.constantFrom('fine' as const, 'down' as const, 'lossy' as const, 'HTML' as const, 'gateway' as const),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      does: fc.constant('storage' as const),
      is: fc.constantFrom('fine' as const, 'forgetful' as const, 'hung' as const, 'blocked' as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant('wait' as const), seconds: fc.constantFrom(1, 20, 70, 250, 400) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom('lock is never given back' as const, 'session is revoked' as const) }) },
);
const steps: fc.Arbitrary<Step[]> = fc.array(step, { minLength: 1, maxLength: 12 });
const chances = fc.array(fc.nat(1000), { minLength: 1, maxLength: 40 });

/** Looks for a sequence that breaks a rule. */
function search(create: typeof createClient, settings: Setting[], runs: number) {
  const property = fc.asyncProperty(fc.constantFrom(...settings), steps, chances, (setting, taken, drawn) =>
    new Simulation(create, setting, drawn).run(taken),
  );
  return fc.check(property, { numRuns: runs, seed: Number(process.env.SEED ?? 17), endOnFailure: false });
}

describe('a client', () => {
  it.each(Object.entries(SETTINGS))('keeps the rules %s', async (_name, setting) => {
    const found = await search(createClient, [setting], Number(process.env.RUNS ?? 300));
    expect(found.failed && `${found.errorInstance}\n${fc.defaultReportMessage(found)}`).toBe(false);
  });
});
