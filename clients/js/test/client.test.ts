import { describe, expect, it, vi } from 'vitest';

import { createClient, RatchetError, type Options } from '../src/index.js';
import { problem } from './service.js';
import {
  afterPassing, baseUrl, client, generations, held, named, onlyPass, pass, report, service, shelf, signedIn, signedInTab, soon, tab,
} from './world.js';

describe('a client', () => {
  it.each([{}, { baseUrl: '' }, { baseUrl: 'auth.example.com' }, { baseUrl: '/auth' }])(
    'says what it needs if it gets %j',
    (options) => {
      expect(() => createClient(options as Options)).toThrow(/^baseUrl: needs an http\(s\) URL$/);
    },
  );

  it('does not know whether anybody is signed in before it has asked', () => {
    expect(client()).toMatchObject({ status: 'unknown', session: null });
  });
});

describe('signing in', () => {
  it('gives a session with its user and claims', async () => {
    const one = client();
    const session = await one.signIn({ name: 'ada', password: 'right' });
    expect(one.session).toBe(session);
    expect(one.status).toBe('signed_in');
    expect(session.user).toEqual({ id: 'id of ada', name: 'ada', roles: ['tester'] });
    expect(session.claims).toMatchObject({ sid: 'sid-000000', jti: 'access-0', motto: 'Grüße, 世界 🌍' });
    expect(session.expiresAt - Date.now()).toBeGreaterThan(299_000);
    expect(session.sessionExpiresAt - Date.now()).toBeGreaterThan(4_990_000);
  });

  it('is reported to listeners, until they have had enough', async () => {
    const one = client();
    const heard: string[] = [];
    const stop = one.subscribe(({ type }) => heard.push(type));
    await one.signIn({ name: 'ada', password: 'right' });
    expect(heard).toEqual(['signed_in']);
    stop();
    await one.signOut();
    expect(heard).toEqual(['signed_in']);
  });

  it('reports what a listener throws, and calls the other listeners and tabs all the same', async () => {
    const one = await signedInTab();
    const other = tab();
    await other.resume();
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const reported: unknown[] = [];
    process.on('uncaughtException', (error) => reported.push(error.message));
    try {
      one.subscribe(() => {
        throw new Error('mine');
      });
      const heard = report(one);
      expect(named(await one.refresh())).toBe('access-1');
      expect(heard).toEqual(['refreshed ada access-1']);
      await soon(() => expect(named(other.session)).toBe('access-1'));
      await soon(() => expect(reported).toEqual(['mine']));
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  it('rejects with the code of the service and is not tried again', async () => {
    const refusal = await client().signIn({ name: 'ada', password: 'x' }).catch((error) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({
      name: 'RatchetError', code: 'invalid_credentials', status: 401, message: 'The problem is invalid_credentials.',
    });
    expect(service.requests).toEqual(['/authenticate']);
  });

  it.each([
    [429, 'too_many_attempts', '8', 8],
    [429, 'account_locked', '3600', 3600],
    [503, 'unavailable', '1', 1],
  ])('says when to try again (%i %s), and leaves it to the user', async (status, code, header, retryAfter) => {
    service.refusal = problem(status, code, { 'retry-after': header });
    const refusal = await client().signIn({ name: 'ada', password: 'right' }).catch((error) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({ status, code, retryAfter });
    await pass(20_000);
    expect(service.requests).toEqual(['/authenticate']);
  });

  it.each(['lost', 'cut', 'HTML', 404] as const)('is unavailable if the answer is %s', async (fault) => {
    service.faults = [fault];
    const refusal = client().signIn({ name: 'ada', password: 'right' });
    await expect(refusal).rejects.toMatchObject({ name: 'RatchetError', code: 'unavailable' });
  });
});

describe('the device token', () => {
  /** Storage that shows what is in it. */
  class Shelf extends Map<string, string> {
    getItem = (key: string) => this.get(key) ?? null;
    setItem = (key: string, value: string) => void this.set(key, value);
    removeItem = (key: string) => void this.delete(key);
  }

  it('is kept for each user name, and sent with the next sign-in of that user', async () => {
    const devices = new Shelf();
    const first = client({ devices });
    await first.signIn({ name: 'ada', password: 'right' });
    await first.signIn({ name: 'Bob', password: 'right' });
    await first.signOut();
    await client({ devices, mode: 'cookie' }).signIn({ name: 'Ada', password: 'right' });
    await first.signIn({ name: 'bob', password: 'right' });
    expect(service.devices).toEqual([undefined, undefined, 'dt1_1', 'dt1_2']);
    expect([...devices.values()]).toEqual(['dt1_3', 'dt1_4']);
  });

  it('survives a wrong password, and is forgotten if the account is locked all the same', async () => {
    const devices = new Shelf();
    const one = client({ devices });
    await one.signIn({ name: 'ada', password: 'right' });
    await expect(one.signIn({ name: 'ada', password: 'wrong' })).rejects.toThrow();
    expect(devices.size).toBe(1);
    service.refusal = problem(429, 'account_locked');
    await expect(one.signIn({ name: 'ada', password: 'right' })).rejects.toThrow();
    expect(devices.size).toBe(0);
    service.refusal = undefined;
    await one.signIn({ name: 'ada', password: 'right' });
    expect(service.devices).toEqual([undefined, 'dt1_1', 'dt1_1', undefined]);
  });

  it('is not kept for a name that did not sign in: people type their passwords there', async () => {
    const devices = new Shelf();
    await expect(client({ devices }).signIn({ name: 'hunter2', password: 'wrong' })).rejects.toThrow();
    expect(devices.size).toBe(0);
  });

  it('is kept in the localStorage of a page, and nowhere on a server', async () => {
    const localStorage = new Shelf();
    vi.stubGlobal('localStorage', localStorage);
    await client().signIn({ name: 'ada', password: 'right' });
    expect(localStorage.size).toBe(0);
    await tab().signIn({ name: 'ada', password: 'right' });
    expect(localStorage.size).toBe(1);
  });
});

describe('fetch', () => {
  it('refreshes once and repeats the request if the access token has expired', async () => {
    const one = await signedIn();
    service.generation = 1;
    const response = await one.fetch('/users', { method: 'PUT', body: 'again' });
    expect(response.status).toBe(200);
    expect(service.requests).toEqual(['/users', '/refresh', '/users']);
  });

  it('refreshes once for all requests whose token has expired', async () => {
    const one = await signedIn();
    service.generation = 1;
    const responses = await Promise.all([1, 2, 3, 4].map(() => one.fetch('/users')));
    expect(responses.map((response) => response.status)).toEqual([200, 200, 200, 200]);
    expect(service.requests.filter((path) => path === '/refresh')).toHaveLength(1);
  });

  it('does not send a token that has expired by the clock', async () => {
    const one = await signedIn();
    vi.setSystemTime(Date.now() + 301_000);
    service.generation = 0;
    expect((await one.fetch('/users')).status).toBe(200);
    expect(service.requests).toEqual(['/refresh', '/users']);
  });

  it('learns from the resource that the session has ended', async () => {
    const one = await signedIn();
    service.ended = 'reuse_detected';
    const heard = report(one);
    expect((await one.fetch('/users')).status).toBe(401);
    expect(heard).toEqual(['signed_out ada reuse_detected']);
  });

  it('waits for resume, so that a page need not', async () => {
    const storage = shelf();
    await signedIn({ storage });
    const reloaded = client({ storage });
    void reloaded.resume();
    expect((await reloaded.fetch('/users')).status).toBe(200);
  });

  it.each([
    [401, '{"message":"Unauthorized"}'],
    [403, '{"message":"Forbidden"}'],
  ])('refreshes and repeats once if a gateway answers %i in words of its own', async (status, body) => {
    const one = await signedIn();
    service.gateway = new Response(body, { status });
    const heard = report(one);
    const answered = one.fetch('/users');
    await soon(() => expect(heard).toEqual(['refreshed ada access-1']));
    expect((await answered).status).toBe(status);
    expect(service.requests).toEqual(['/users', '/refresh', '/users']);
    service.gateway = undefined;
    expect((await one.fetch('/users')).status).toBe(200);
  });

  it('does not refresh again and again for a gateway that keeps refusing', async () => {
    const one = await signedIn();
    service.gateway = new Response('', { status: 403 });
    for (let times = 0; times < 5; times += 1) await one.fetch('/users');
    expect(service.requests.filter((path) => path === '/refresh')).toHaveLength(1);
    // A later token may be good for it.
    await one.refresh();
    service.requests = [];
    await one.fetch('/users');
    expect(service.requests).toEqual(['/users', '/refresh', '/users']);
  });

  it.each(['forbidden', 'wrong_password'])('takes %s as it is', async (code) => {
    const one = await signedIn();
    service.gateway = problem(403, code);
    expect((await one.fetch('/users')).status).toBe(403);
    expect(service.requests).toEqual(['/users']);
  });

  it.each([
    ['an API', () => new Response('', { status: 401 })],
    ['the service', () => problem(401, 'insufficient_user_authentication')],
  ])('gives the answer of %s back that asks for another authentication', async (_, answer) => {
    const one = await signedIn();
    service.gateway = answer();
    service.gateway.headers.set('www-authenticate', 'Bearer error="insufficient_user_authentication", max_age="300"');
    service.requests = [];
    expect((await one.fetch('/users')).status).toBe(401);
    expect(service.requests).toEqual(['/users']);
  });

  it('gives the answer of a gateway back if nobody knows whether the token was the reason', async () => {
    const one = await signedIn({ patience: 0 });
    service.gateway = new Response('', { status: 403 });
    service.faults = [503];
    expect((await one.fetch('/users')).status).toBe(403);
  });

  it('rejects if the token has expired and cannot be refreshed: a 401 would look like a sign-out', async () => {
    const one = await signedIn({ patience: 0 });
    service.generation = 1;
    service.faults = [503];
    await expect(one.fetch('/users')).rejects.toMatchObject({ code: 'unavailable' });
    expect(one.status).toBe('signed_in');
  });

  it.each([
    ['https://auth.example.com/base', '/users', 'https://auth.example.com/base/users'],
    ['https://auth.example.com/base/', '/users?a=b', 'https://auth.example.com/base/users?a=b'],
    ['https://auth.example.com', '/a:b', 'https://auth.example.com/a:b'],
    ['https://auth.example.com', 'https://auth.example.com/x', 'https://auth.example.com/x'],
    ['https://auth.example.com', new URL('https://api.example.com/x'), 'https://api.example.com/x'],
    ['https://auth.example.com', new Request('https://api.example.com/x'), 'https://api.example.com/x'],
  ])('at %s resolves %s', async (base, input, url) => {
    let asked: Request | undefined;
    const one = client({
      baseUrl: base,
      origins: ['https://api.example.com/ignored'],
      fetch: async (request) => {
        asked = request as Request;
        return new Response();
      },
    });
    await one.fetch(input);
    expect(asked?.url).toBe(url);
  });

  it.each([
    'https://evil.example/users', 'http://auth.example.com/', 'https://auth.example.com:8443/', 'https://auth.example.com@evil.example/',
  ])('does not show the token to %s', async (url) => {
    const one = await signedIn({ baseUrl: 'https://auth.example.com' });
    await expect(one.fetch(url)).rejects.toThrow(TypeError);
    expect(service.requests).toEqual([]);
  });

  it.each(['/\\evil.example/users', '/.evil.example/users'])('takes %s for a path', async (path) => {
    let asked: Request | undefined;
    const one = await signedIn({ baseUrl: 'https://auth.example.com' });
    const other = client({ fetch: async (request) => ((asked = request as Request), new Response()) });
    await other.fetch(path);
    expect(new URL(asked!.url).origin).toBe(baseUrl());
    expect(one.status).toBe('signed_in');
  });
});

describe('getAccessToken', () => {
  it('gives a token that has not expired', async () => {
    const one = await signedIn();
    expect(await one.getAccessToken()).toBe(one.session?.accessToken);
    expect(service.requests).toEqual([]);
    vi.setSystemTime(Date.now() + 301_000);
    expect(await one.getAccessToken()).toBe(service.access());
    expect(named(one.session)).toBe('access-1');
  });

  it('resumes, if nobody has done so', async () => {
    const storage = shelf();
    await signedIn({ storage });
    expect(await client({ storage }).getAccessToken()).toBe(service.access());
  });

  it('is null if nobody is signed in, or not any more', async () => {
    expect(await client().getAccessToken()).toBeNull();
    const one = await signedIn();
    await one.signOut();
    service.requests = [];
    expect(await one.getAccessToken()).toBeNull();
    expect(service.requests).toEqual([]);
  });

  it('is null if the session turns out to have ended', async () => {
    const one = await signedIn();
    vi.setSystemTime(Date.now() + 301_000);
    service.ended = 'revoked';
    expect(await one.getAccessToken()).toBeNull();
  });

  it('rejects if nobody can say', async () => {
    const one = await signedIn({ patience: 0 });
    vi.setSystemTime(Date.now() + 301_000);
    service.faults = [503];
    await expect(one.getAccessToken()).rejects.toMatchObject({ code: 'unavailable' });
  });
});

describe('refreshing', () => {
  it('happens at refresh_after, before the access token expires', async () => {
    const one = await signedIn();
    await pass(199_000);
    expect(service.requests).toEqual([]);
    await pass(1_500);
    expect(service.requests).toEqual(['/refresh']);
    expect(named(one.session)).toBe('access-1');
  });

  it.each(['lost', 'lost before', 'cut', 503, 429, 'gateway 401', 'HTML', 404, 408] as const)(
    'sends the same token again after %s, and nobody is signed out',
    async (fault) => {
      const one = await signedIn();
      service.faults = [fault, fault];
      const heard = report(one);
      const refreshed = one.refresh();
      await pass(10_000);
      expect(named(await refreshed)).toBe('access-1');
      expect(new Set(generations(service.presented))).toEqual(new Set([0]));
      expect(heard).toEqual(['refreshed ada access-1']);
    },
  );

  it.each([503, 'HTML', 404, 408] as const)(
    'is given up for the moment when the patience is over (%s), and goes on by itself',
    async (fault) => {
      const one = await signedIn({ patience: 3_000 });
      service.faults = new Array(60).fill(fault);
      const heard = report(one);
      const refused = one.refresh().catch((error: RatchetError) => error.code);
      await pass(4_000);
      expect(await refused).toBe('unavailable');
      expect(one.session).not.toBeNull();
      await pass(200_000);
      service.faults = [];
      await pass(130_000);
      expect(named(one.session)).toBe('access-1');
      expect(heard).toEqual(['refreshed ada access-1']);
    },
  );

  it.each([
    [0, 1_000],
    [0.5, 1_500],
    [0.99, 1_990],
  ])('is tried again after Retry-After or later, spread at random (%d)', async (random, ms) => {
    onlyPass();
    vi.spyOn(Math, 'random').mockReturnValue(random);
    const one = await signedIn();
    service.faults = [503];
    const refreshed = one.refresh();
    await pass(ms - 20);
    expect(service.requests).toEqual(['/refresh']);
    await pass(40);
    expect(service.requests).toEqual(['/refresh', '/refresh']);
    await refreshed;
  });

  it.each([
    // Shorter than the client's own pauses, longer, and longer than a timer can wait.
    [4, [5_000, 10_000, 20_000]],
    [60, [60_000, 60_000, 60_000]],
    [3_000_000, []],
  ])('waits for Retry-After (%i s) also past its patience, and longer each time', async (retryAfter, pauses) => {
    onlyPass();
    vi.spyOn(Math, 'random').mockReturnValue(0);
    service.retryAfter = retryAfter;
    await signedIn({ patience: 3_000 });
    service.faults = new Array(10).fill(503);
    await pass(200_100);
    for (const [before, pause] of pauses.entries()) {
      expect(service.requests).toHaveLength(before + 1);
      await pass(pause - 200);
      expect(service.requests).toHaveLength(before + 1);
      await pass(200);
    }
    expect(service.requests).toHaveLength(pauses.length + 1);
  });

  it('that the service refuses is left alone until somebody needs it, and so is the session', async () => {
    const one = await signedIn();
    service.faults = [403];
    await pass(290_000);
    expect(service.requests).toEqual(['/refresh']);
    expect(named(one.session)).toBe('access-0');
    await pass(15_000);
    expect((await one.fetch('/users')).status).toBe(200);
    expect(service.requests).toEqual(['/refresh', '/refresh', '/users']);
  });

  it.each(['reuse_detected', 'revoked', 'expired_idle', 'expired_absolute', 'user_disabled', 'unknown'])(
    'ends the session on %s',
    async (code) => {
      const one = await signedIn();
      service.ended = code;
      const heard = report(one);
      expect(await one.refresh()).toBeNull();
      expect(one.status).toBe('signed_out');
      expect(heard).toEqual([`signed_out ada ${code}`]);
    },
  );

  it.each(['elsewhere', 'access_token_mismatch'])('keeps the session on %s', async (code) => {
    const one = await signedIn();
    service.ended = code;
    await expect(one.refresh()).rejects.toMatchObject({ code });
    expect(one.session).not.toBeNull();
  });
});

describe('resuming', () => {
  it('finds out that nobody is signed in', async () => {
    const one = client();
    const heard = report(one);
    expect(await one.resume()).toBeNull();
    expect(one.status).toBe('signed_out');
    expect(heard).toEqual(['signed_out nobody signed_out']);
  });

  it('resolves early if the service is down, and goes on in the background', async () => {
    const storage = shelf();
    (await signedIn({ storage })).close();
    const one = client({ storage });
    const heard = report(one);
    service.faults = new Array(60).fill('lost before');
    const begun = Date.now();
    expect(await afterPassing(3_500, one.resume())).toBeNull();
    expect(Date.now() - begun).toBeLessThan(4_000);
    expect(one.status).toBe('unknown');
    await pass(300_000);
    service.faults = [];
    await pass(130_000);
    expect(one.status).toBe('signed_in');
    expect(heard).toEqual(['signed_in ada access-1']);
  });

  it('shares one request, however many ask', async () => {
    const storage = shelf();
    await signedIn({ storage });
    const one = client({ storage });
    await Promise.all([one.resume(), one.resume(), one.getAccessToken(), one.refresh()]);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('says so if the service does not serve this origin', async () => {
    const one = client({ mode: 'cookie' });
    service.faults = [403];
    await expect(one.resume()).rejects.toMatchObject({ code: 'forbidden_origin' });
  });
});

describe('signing out', () => {
  it('is not done before the service has said so', async () => {
    const one = await signedIn({ patience: 1_000 });
    service.faults = new Array(20).fill(503);
    const refused = one.signOut().catch((error: RatchetError) => error.code);
    await pass(3_000);
    expect(await refused).toBe('unavailable');
    expect(one.session).not.toBeNull();
  });

  it('works for a token that the service cannot read: it opens nothing', async () => {
    const storage = shelf();
    const one = await signedIn({ storage });
    storage.set('rt0_of an earlier service');
    await one.signOut();
    expect(one.status).toBe('signed_out');
    expect(storage.get()).toBeNull();
  });

  it('before resuming ends the session that the storage has', async () => {
    const storage = shelf();
    await signedIn({ storage });
    await client({ storage }).signOut();
    expect(generations(service.presented)).toEqual([0]);
    expect(service.ended).toBe('revoked');
    expect(storage.get()).toBeNull();
  });

  it('lets a refresh finish first, whose token it ends', async () => {
    const answers = held();
    const one = await signedIn({ fetch: answers.fetch });
    const heard = report(one);
    answers.hold();
    const refreshed = one.refresh();
    const out = one.signOut();
    answers.go();
    await Promise.all([refreshed, out]);
    expect(one.session).toBeNull();
    expect(heard).toEqual(['refreshed ada access-1', 'signed_out ada signed_out']);
    await pass(600_000);
    expect(service.requests).toEqual(['/refresh', '/logout']);
  });

  it('is not held up by a refresh that keeps failing', async () => {
    const one = await signedIn();
    service.faults = [503];
    service.retryAfter = 20;
    const refreshed = one.refresh();
    await pass(100);
    await one.signOut();
    expect(one.status).toBe('signed_out');
    expect(await afterPassing(60_000, refreshed)).toBeNull();
    expect(service.requests).toEqual(['/refresh', '/logout']);
  });
});

describe('closing', () => {
  it('stops everything but a refresh that has begun, whose token is kept', async () => {
    const storage = shelf();
    const answers = held();
    const one = await signedInTab({ storage, fetch: answers.fetch });
    const other = tab({ storage });
    await other.resume();
    const heard = report(one);
    answers.hold();
    const refreshed = one.refresh();
    await soon(() => expect(service.requests).toEqual(['/refresh']));
    one.close();
    answers.go();
    expect(named(await refreshed)).toBe('access-1');
    await soon(() => expect(named(other.session)).toBe('access-1'));
    other.close();
    await pass(600_000);
    expect(generations(storage.kept)).toEqual([0, 1]);
    expect(heard).toEqual([]);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('lets a refresh that waits for its turn have it', async () => {
    const storage = shelf();
    const one = await signedInTab({ storage });
    await tab({ storage }).resume();
    const refreshed = one.refresh();
    one.close();
    expect(named(await afterPassing(1_000, refreshed))).toBe('access-1');
    expect(generations(storage.kept)).toEqual([0, 1]);
  });

  it('by a listener comes after the other tabs have been told', async () => {
    const one = await signedInTab();
    const other = tab();
    await other.resume();
    one.subscribe(() => one.close());
    await one.refresh();
    await soon(() => expect(named(other.session)).toBe('access-1'));
  });

  it('stops a client that has just met a fault by itself', async () => {
    const answers = held();
    const one = await signedIn({ patience: 0, fetch: answers.fetch });
    service.faults = [503];
    answers.hold();
    await pass(201_000);
    one.close();
    answers.go();
    await pass(600_000);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('stops a client between two attempts', async () => {
    const one = await signedIn();
    service.faults = [503, 503];
    const refused = one.refresh().catch((error: RatchetError) => error.code);
    await pass(100);
    one.close();
    await pass(60_000);
    expect(await refused).toBe('unavailable');
    expect(service.requests).toEqual(['/refresh']);
  });

  it('presents no token that another tab may have replaced', async () => {
    const one = await signedInTab();
    const second = tab();
    await second.resume();
    await soon(() => expect(second.session).not.toBeNull());
    one.close();
    await afterPassing(1_000, second.refresh());
    expect(named(await one.refresh())).toBe('access-0');
    expect(generations(service.presented)).toEqual([0]);
  });
});

describe('where tokens are', () => {
  it('cookie mode sends no refresh token and asks for confirmation', async () => {
    const seen: Request[] = [];
    const one = client({
      mode: 'cookie',
      fetch: (input, init) => {
        seen.push(new Request(input, init));
        return service.fetch(input, init);
      },
    });
    await one.signIn({ name: 'ada', password: 'right' });
    await one.refresh();
    await one.signOut();
    expect(await seen[0]?.json()).toMatchObject({ mode: 'cookie' });
    expect(await seen[1]?.json()).toEqual({});
    expect(await seen[2]?.json()).toEqual({});
    for (const request of seen) {
      expect(request.headers.get('x-ratchet')).toBe('1');
      expect(request.credentials).toBe('include');
    }
  });

  it('token mode keeps each token in the storage before it is used', async () => {
    const storage = shelf();
    const one = await signedIn({ storage });
    await one.refresh();
    one.close();
    const reloaded = client({ storage });
    expect(named(await reloaded.resume())).toBe('access-2');
    await reloaded.signOut();
    expect(generations(storage.kept)).toEqual([0, 1, 2, null]);
  });

  it('token mode presents what another program has put into the storage', async () => {
    const storage = shelf();
    const [one, other] = [await signedIn({ storage }), client({ storage })];
    for (const each of [other, one, other, one]) await each.refresh();
    expect(generations(service.presented)).toEqual([0, 1, 2, 3]);
  });
});
