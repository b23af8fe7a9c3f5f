// Whose session is it? Two users of one process, and one after the other in one client.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

import { describe, expect, it, vi } from 'vitest';

import { createClient } from '../src/index.js';
import { asUrl, bundle } from './bundle.js';
import { problem } from './service.js';
import { baseUrl, client, ending, held, inPage, named, pass, report, service, signedIn, signedInTab, soon, tab } from './world.js';

const nameOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString()).name;

describe('two clients of one server process', () => {
  it('never see each other', async () => {
    const [ada, grace] = [client(), client()];
    const heard = report(ada);
    await ada.signIn({ name: 'ada', password: 'right' });
    await grace.signIn({ name: 'grace', password: 'right' });
    const stranger = client();
    expect(await stranger.resume()).toBeNull();
    await pass(1_000);
    expect(ada.session?.user.name).toBe('ada');
    expect(grace.session?.user.name).toBe('grace');
    expect(heard).toEqual(['signed_in ada access-0']);
    await grace.signOut();
    await pass(1_000);
    expect(ada.status).toBe('signed_in');
    expect(stranger.session).toBeNull();
  });

  it('open no channel, take no lock and touch no storage of the process', async () => {
    const touched: string[] = [];
    const trap = (name: string) => (touched.push(name), undefined);
    vi.stubGlobal('BroadcastChannel', class { constructor() { trap('channel'); } });
    vi.stubGlobal('navigator', { get locks() { return trap('locks'); } });
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: () => trap('localStorage') });
    const one = await signedIn();
    await one.refresh();
    await one.signOut();
    expect(touched).toEqual([]);
    Reflect.deleteProperty(globalThis, 'localStorage');
    // The traps work: a page does touch them.
    inPage({ navigator: { get locks() { return trap('locks'); } } });
    client();
    expect(touched).toContain('channel');
    expect(touched).toContain('locks');
  });

  it('share a session if they are told to, by a channel of their own', async () => {
    const channel = () => ending(new BroadcastChannel(baseUrl()));
    const one = await signedIn({ channel: channel() });
    const other = client({ channel: channel() });
    expect(await other.resume()).toEqual(one.session);
  });

  it('do not keep the process running', async () => {
    vi.useRealTimers();
    const pair = JSON.stringify({ access_token: service.access(chain), expires_in: 300, refresh_after: 200 });
    const script = `
      import { createClient } from '${asUrl(await bundle(['index.ts']))}';
      const answer = async () => new Response('${pair}');
      const client = createClient({ baseUrl: 'https://auth.example.com', mode: 'token', fetch: answer });
      const session = await client.signIn({ name: 'ada', password: 'right' });
      console.log(session.user.name);`;
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
      timeout: 20_000,
    });
    expect(stdout).toBe('ada\n');
  }, 30_000);
});

const chain = { id: 'sid-0', user: 'ada', authTime: 1, generation: 0, superseded: [] };

describe('a request for one user', () => {
  it('is not repeated as another one', async () => {
    const one = await signedIn();
    service.gateway = problem(401, 'expired_access_token');
    const answers = held();
    const two = createClient({ baseUrl: baseUrl(), mode: 'token', fetch: answers.fetch });
    ending(two);
    await two.signIn({ name: 'ada', password: 'right' });
    answers.hold();
    const begun = two.fetch('/users');
    await soon(() => expect(service.bearers).toHaveLength(1));
    const signedInAnew = two.signIn({ name: 'grace', password: 'right' });
    answers.go();
    await signedInAnew;
    expect((await begun).status).toBe(401);
    expect(service.bearers.map(nameOf)).toEqual(['ada']);
    expect(one.session?.user.name).toBe('ada');
  });

  it('is repeated with the token of a new session of the same user', async () => {
    const answers = held();
    const one = await signedIn({ fetch: answers.fetch });
    service.gateway = new Response('', { status: 401 });
    answers.hold();
    const begun = one.fetch('/users');
    await soon(() => expect(service.bearers).toHaveLength(1));
    service.gateway = undefined;
    const signedInAnew = one.signIn({ name: 'ada', password: 'right' });
    answers.go();
    await signedInAnew;
    expect((await begun).status).toBe(200);
    expect(service.bearers.map(nameOf)).toEqual(['ada', 'ada']);
  });

  it.each([
    ['another one has signed in', 'grace', 'user_changed'],
    ['the user has signed out', undefined, 'signed_out'],
  ])('is not sent if %s before its token was fresh', async (_when, next, code) => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    vi.setSystemTime(Date.now() + 301_000);
    service.faults = [503];
    service.retryAfter = 5;
    const begun = first.fetch('/users').catch((error) => error);
    await soon(() => expect(service.requests).toContain('/refresh'));
    if (next) await second.signIn({ name: next, password: 'right' });
    else await second.signOut();
    await soon(() => expect(first.session?.user.name).toBe(next));
    await pass(20_000);
    expect(await begun).toMatchObject({ name: 'RatchetError', code });
    expect(service.bearers).toEqual([]);
  });

  it('that nobody is signed in for goes without a token', async () => {
    const one = client();
    expect((await one.fetch('/users')).status).toBe(401);
    expect(service.bearers).toEqual([]);
    expect(service.requests).toEqual(['/users']);
  });
});

describe('a sign-out', () => {
  it('that is tried again does not end the session of somebody who has signed in meanwhile', async () => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    service.faults = [503];
    service.retryAfter = 5;
    const out = first.signOut();
    await soon(() => expect(service.requests).toContain('/logout'));
    await second.signIn({ name: 'grace', password: 'right' });
    await soon(() => expect(first.session?.user.name).toBe('grace'));
    await pass(20_000);
    await out;
    expect(first.session?.user.name).toBe('grace');
    expect(service.ended).toBeUndefined();
  });
});

describe('events', () => {
  it('carry the id of the user, and what it was before', async () => {
    const one = client();
    const heard: unknown[] = [];
    one.subscribe(({ type, userId, ...more }) =>
      heard.push([type, userId, 'previousUserId' in more ? more.previousUserId : undefined]),
    );
    await one.signIn({ name: 'ada', password: 'right' });
    await one.refresh();
    await one.signIn({ name: 'ada', password: 'right' });
    await one.signIn({ name: 'grace', password: 'right' });
    await one.signOut();
    expect(heard).toEqual([
      ['signed_in', 'id of ada', undefined],
      ['refreshed', 'id of ada', 'id of ada'],
      ['signed_in', 'id of ada', 'id of ada'],
      ['user_changed', 'id of grace', 'id of ada'],
      ['signed_out', 'id of grace', 'id of grace'],
    ]);
  });

  it('are reported of a cookie that another user has by now', async () => {
    const one = await signedIn({ mode: 'cookie' });
    // In a tab that the others have not heard from.
    await client({ mode: 'cookie' }).signIn({ name: 'grace', password: 'right' });
    const heard = report(one);
    expect(named(await one.refresh())).toBe('access-1');
    expect(heard).toEqual(['user_changed grace access-1, before ada']);
  });
});
