// The package as an application gets it: installed by the line in the README, under every way that
// TypeScript resolves modules, and from both kinds of modules of Node.

import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';

import { afterAll, beforeAll, describe, expect, it } from 'vitest';

const root = new URL('..', import.meta.url).pathname;
const run = promisify(execFile);
const { resolve } = createRequire(import.meta.url);
let application: string;

/** What an application writes. A line that must be refused says so. */
const USE = `
import { createClient, RatchetError, type ClientEvent, type Code, type Session } from '@ratchet-auth/client';
import { accounts, type SessionEntry } from '@ratchet-auth/client/accounts';
import { dpop } from '@ratchet-auth/client/dpop';
import { requirementOf, stepUp } from '@ratchet-auth/client/step-up';
import { leases } from '@ratchet-auth/client/leases';
import { conditionalAvailable, passkeys, type Passkey } from '@ratchet-auth/client/passkeys';
import { useSession } from '@ratchet-auth/client/react';
import { isSecondFactorRequired, secondFactor } from '@ratchet-auth/client/second-factor';

export const client = createClient({ baseUrl: 'https://auth.example.com', locks: null, dpop: dpop() });
export const sessions = (): Promise<SessionEntry[]> => accounts(client).sessions.list();
export const name = (session: Session): string => session.user.name + session.claims.sid;
export const own: unknown = [leases, useSession];
export function said(event: ClientEvent): string {
  switch (event.type) {
    case 'user_changed': return event.previousUserId + event.userId;
    case 'signed_out': return event.reason;
    case 'signed_in': case 'refreshed': return event.session.accessToken;
  }
}
export const again = (response: Response): Promise<Session> | null =>
  requirementOf(response)?.maxAge ? stepUp(client, { password: 'x', code: '123456' }) : null;
// @ts-expect-error
stepUp(client, { code: '123456', recoveryCode: 'x' });
// @ts-expect-error
stepUp(client, {});
export const ended: Code = 'reuse_detected';
export const told = (error: unknown) => error instanceof RatchetError && error.code === 'account_locked';
export const challengeOf = (error: unknown): string | null => (isSecondFactorRequired(error) ? error.challenge : null);
export const completed = (challenge: string): Promise<{ session: Session }> =>
  secondFactor(client).signIn({ name: 'ada', challenge, recoveryCode: 'x' });
export const chosen = (signal: AbortSignal): Promise<Session> => passkeys(client).signInWithPasskey({ conditional: true, signal });
export const all = async (): Promise<Passkey[] | null> => ((await conditionalAvailable()) ? passkeys(client).passkeys() : null);
// @ts-expect-error
passkeys(client).completeWithPasskey({ name: 'ada' });
// @ts-expect-error
secondFactor(client).signIn({ name: 'ada', challenge: 'x' });
// @ts-expect-error
export const wrong: Code = 'no_such_code';
// @ts-expect-error
createClient({});
`;

beforeAll(async () => {
  application = await mkdtemp(join(tmpdir(), 'ratchet-client-'));
  await writeFile(join(application, 'package.json'), '{ "name": "application", "private": true }');
  await run('npm', ['i', '--install-links', root, '--no-audit', '--no-fund', '--offline'], { cwd: application });
  await writeFile(join(application, 'use.ts'), USE);
  await writeFile(join(application, 'use.mts'), USE);
}, 120_000);

afterAll(() => rm(application, { recursive: true }));

// They do not depend on the Node. CI checks them with one of its two.
describe.skipIf(process.env.TYPES === 'checked')('the types', () => {
  it.each([
    ['node10', 'CommonJS', 'use.ts'],
    ['node16', 'Node16', 'use.ts'],
    ['node16', 'Node16', 'use.mts'],
    ['nodenext', 'NodeNext', 'use.mts'],
    ['bundler', 'ESNext', 'use.ts'],
  ])('are found by moduleResolution %s (module %s, %s)', async (moduleResolution, module, file) => {
    const compilerOptions = {
      moduleResolution, module, target: 'ES2022', lib: ['ES2023', 'DOM'], types: [], strict: true, noEmit: true,
    };
    await writeFile(join(application, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: [file] }));
    const compile = run(process.execPath, [resolve('typescript-5/lib/tsc.js')], { cwd: application });
    await compile.catch(({ stdout }) => expect.fail(stdout));
  });

  it.each([
    ['are right', '@arethetypeswrong/cli', 'attw', ['--pack', '.']],
    ['and the files of the package fit', 'publint', 'publint', ['--strict']],
  ])('%s (%s)', async (_what, name, program, options) => {
    const manifest = join(root, 'node_modules', name, 'package.json');
    const { bin } = JSON.parse(await readFile(manifest, 'utf8'));
    const path = join(manifest, '..', typeof bin === 'string' ? bin : bin[program]);
    await run(process.execPath, [path, ...options], { cwd: root }).catch(({ stdout }) => expect.fail(stdout));
  });
});

describe('Node', () => {
  const names = ['index', 'accounts', 'leases', 'dpop', 'second-factor', 'step-up', 'passkeys'].map((entry) => `@ratchet-auth/client/${entry}`.replace('/index', ''));

  it.each([
    ['imports', 'module', (name: string) => `await import('${name}')`],
    ['requires', 'commonjs', (name: string) => `require('${name}')`],
  ])('%s every entry point', async (_how, type, load) => {
    const script = `console.log(...[${names.map(load).join()}].map((entry) => Object.keys(entry).sort()).flat())`;
    const { stdout } = await run(process.execPath, [`--input-type=${type}`, '-e', script], { cwd: application });
    const exported = ['RatchetError', 'createClient', 'accounts', 'leases', 'dpop', 'secondFactor', 'isSecondFactorRequired', 'stepUp', 'passkeys'];
    expect(stdout.split(/\s/)).toEqual(expect.arrayContaining(exported));
  });
});
