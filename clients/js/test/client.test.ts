import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { createClient, RatchetError, type Client, type Options } from '../src/index.js';
import { problem, Service } from './service.js';

let service: Service;
let number = 0;
const clients: Client[] = [];

beforeEach(() => {
  service = new Service();
  number += 1;
  vi.useFakeTimers({ shouldAdvanceTime: true, advanceTimeDelta: 5 });
});

afterEach(() => {
  for (const client of clients.splice(0)) client.close();
  vi.useRealTimers();
  vi.restoreAllMocks();
});

/** A tab; tabs of one test share a browser. */
function tab(options: Partial<Options> = {}): Client {
  const client = createClient({
    baseUrl: `https://auth-${number}.example`,
    mode: 'token',
    fetch: service.fetch,
    ...options,
  });
  clients.push(client);
  return client;
}

async function signedIn(options: Partial<Options> = {}): Promise<Client> {
  const client = tab(options);
  await client.signIn({ name: 'ada', password: 'right' });
  service.requests = [];
  return client;
}

/** A service that leaves requests without an answer until it is let go on. */
function held() {
  let go = () => {};
  let gate = Promise.resolve();
  const hold = () => (gate = new Promise((resolve) => (go = resolve)));
  const request: typeof fetch = async (input, init) => {
    const response = await service.fetch(input, init);
    await gate;
    return response;
  };
  return { fetch: request, hold, go: () => go() };
}

/** Waits for what another tab or the service does in real time. */
const soon = (holds: () => void) => vi.waitFor(holds, { timeout: 30_000 });

/** Lets time pass for everything that waits for it. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

/** From now on time passes only where a test says so. */
function onlyPass() {
  vi.useRealTimers();
  vi.useFakeTimers();
}

/** Web Locks of a tab that has no rival. */
const inTurn = { request: <T>(_name: string, work: () => Promise<T>) => work() };

describe('signing in', () => {
  it('tells listeners of the session', async () => {
    const client = tab();
    const heard: unknown[] = [];
    client.onSession((session, reason) => heard.push(session?.accessToken ?? reason));
    await client.signIn({ name: 'ada', password: 'right' });
    expect(heard).toEqual([undefined, 'access-0']);
  });

  it('reports what a listener throws, and tells other listeners and tabs all the same', async () => {
    const client = await signedIn();
    const other = tab();
    await other.resume();
    const others = process.listeners('uncaughtException');
    process.removeAllListeners('uncaughtException');
    const reported: unknown[] = [];
    process.on('uncaughtException', (error) => reported.push(error.message));
    try {
      client.onSession(() => {
        throw new Error('mine');
      });
      const heard: unknown[] = [];
      client.onSession((session) => heard.push(session?.accessToken));
      expect((await client.refresh())?.accessToken).toBe('access-1');
      expect(heard).toEqual(['access-0', 'access-1']);
      await soon(() => expect(other.session?.accessToken).toBe('access-1'));
      await soon(() => expect(reported).toEqual(['mine', 'mine']));
    } finally {
      process.removeAllListeners('uncaughtException');
      for (const listener of others) process.on('uncaughtException', listener);
    }
  });

  it('rejects with the code of the service and is not tried again', async () => {
    const refusal = await tab().signIn({ name: 'ada', password: 'x' }).catch((error) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({ code: 'invalid_credentials', status: 401 });
    expect(service.requests).toEqual(['/authenticate']);
  });

  it.each([
    [429, 'too_many_attempts', '8', 8],
    [429, 'account_locked', '3600', 3600],
    [503, 'unavailable', '1', 1],
  ])('says when to try again (%i %s), and leaves it to the user', async (status, code, header, retryAfter) => {
    service.refusal = problem(status, code, { 'retry-after': header });
    const refusal = await tab().signIn({ name: 'ada', password: 'right' }).catch((error) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({ status, code, retryAfter });
    await pass(20_000);
    expect(service.requests).toEqual(['/authenticate']);
  });

  it.each(['lost', 'cut'] as const)('is unavailable when the answer is %s', async (fault) => {
    service.faults = [fault];
    const refusal = tab().signIn({ name: 'ada', password: 'right' });
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
    const first = tab({ devices });
    await first.signIn({ name: 'ada', password: 'right' });
    await first.signIn({ name: 'Bob', password: 'right' });
    await first.signOut();
    await tab({ devices, mode: 'cookie' }).signIn({ name: 'Ada', password: 'right' });
    await first.signIn({ name: 'bob', password: 'right' });
    expect(service.devices).toEqual([undefined, undefined, 'dt1_1', 'dt1_2']);
    expect([...devices.values()]).toEqual(['dt1_3', 'dt1_4']);
  });

  it('survives a wrong password, and is forgotten when the account is locked all the same', async () => {
    const devices = new Shelf();
    const client = tab({ devices });
    await client.signIn({ name: 'ada', password: 'right' });
    await expect(client.signIn({ name: 'ada', password: 'wrong' })).rejects.toThrow();
    expect(devices.size).toBe(1);
    service.refusal = problem(429, 'account_locked');
    await expect(client.signIn({ name: 'ada', password: 'right' })).rejects.toThrow();
    expect(devices.size).toBe(0);
    service.refusal = undefined;
    await client.signIn({ name: 'ada', password: 'right' });
    expect(service.devices).toEqual([undefined, 'dt1_1', 'dt1_1', undefined]);
  });

  it('keeps no name that did not sign in: people type their passwords there', async () => {
    const devices = new Shelf();
    await expect(tab({ devices }).signIn({ name: 'hunter2', password: 'wrong' })).rejects.toThrow();
    expect(devices.size).toBe(0);
  });

  it('is done without where storage is forbidden', async () => {
    const forbidden = () => {
      throw new DOMException('no', 'SecurityError');
    };
    const devices = { getItem: forbidden, setItem: forbidden, removeItem: forbidden };
    await tab({ devices }).signIn({ name: 'ada', password: 'right' });
    await tab({ devices: null }).signIn({ name: 'ada', password: 'right' });
    expect(service.devices).toEqual([undefined, undefined]);
  });
});

describe('fetch', () => {
  it('refreshes once and repeats the request when the access token has expired', async () => {
    const client = await signedIn();
    service.generation = 1;
    const response = await client.fetch('/users', { method: 'POST', body: 'again' });
    expect(response.status).toBe(200);
    expect(service.requests).toEqual(['/users', '/refresh', '/users']);
  });

  it('refreshes once for all requests that expired together', async () => {
    const client = await signedIn();
    service.generation = 1;
    const responses = await Promise.all([1, 2, 3, 4].map(() => client.fetch('/users')));
    expect(responses.map((response) => response.status)).toEqual([200, 200, 200, 200]);
    expect(service.requests.filter((path) => path === '/refresh')).toHaveLength(1);
  });

  it('does not send a token that has expired by the clock', async () => {
    const client = await signedIn();
    vi.setSystemTime(Date.now() + 301_000);
    service.generation = 0;
    expect((await client.fetch('/users')).status).toBe(200);
    expect(service.requests).toEqual(['/refresh', '/users']);
  });

  it('does not show the token to other origins', async () => {
    const client = await signedIn();
    await expect(client.fetch('https://evil.example/users')).rejects.toThrow(TypeError);
    expect(service.requests).toEqual([]);
  });

  it('learns from the resource that the session has ended', async () => {
    const client = await signedIn();
    service.ended = 'reuse_detected';
    const heard: unknown[] = [];
    client.onSession((session, reason) => heard.push(session ? 'in' : reason));
    expect((await client.fetch('/users')).status).toBe(401);
    expect(heard).toEqual(['in', 'reuse_detected']);
  });
});

describe('refreshing', () => {
  it('happens at refresh_after, before the access token expires', async () => {
    const client = await signedIn();
    await pass(199_000);
    expect(service.requests).toEqual([]);
    await pass(1_500);
    expect(service.requests).toEqual(['/refresh']);
    expect(client.session?.accessToken).toBe('access-1');
  });

  it.each(['lost', 'lost before', 'cut', 503, 429, 'gateway 401'] as const)(
    'sends the same token again after %s, and nobody is signed out',
    async (fault) => {
      const client = await signedIn();
      service.faults = [fault, fault];
      const heard: unknown[] = [];
      client.onSession((session) => heard.push(session !== null));
      const refreshed = client.refresh().catch(() => client.refresh()).catch(() => client.refresh());
      await pass(10_000);
      expect((await refreshed)?.accessToken).toBe('access-1');
      expect(new Set(service.presented)).toEqual(new Set(['rt1_0']));
      expect(heard).not.toContain(false);
    },
  );

  it('is given up for the moment when the patience is over, and goes on by itself', async () => {
    const client = await signedIn({ patience: 3_000 });
    service.faults = new Array(60).fill(503);
    const refused = client.refresh().catch((error: RatchetError) => error.code);
    await pass(4_000);
    expect(await refused).toBe('unavailable');
    expect(client.session).not.toBeNull();
    await pass(200_000);
    service.faults = [];
    await pass(20_000);
    expect(client.session?.accessToken).toBe('access-1');
  });

  it.each([
    [0, 1_000],
    [0.5, 1_500],
    [0.99, 1_990],
  ])('is tried again after Retry-After or later, spread at random (%d)', async (random, ms) => {
    onlyPass();
    vi.spyOn(Math, 'random').mockReturnValue(random);
    const client = await signedIn({ locks: inTurn });
    service.faults = [503];
    const refreshed = client.refresh();
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
    await signedIn({ patience: 3_000, locks: inTurn });
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

  it('that is refused is left alone until somebody needs it, and so is the session', async () => {
    const client = await signedIn();
    service.faults = [403];
    await pass(290_000);
    expect(service.requests).toEqual(['/refresh']);
    expect(client.session?.accessToken).toBe('access-0');
    await pass(15_000);
    expect((await client.fetch('/users')).status).toBe(200);
    expect(service.requests).toEqual(['/refresh', '/refresh', '/users']);
  });

  it('goes on by itself when the storage fails', async () => {
    let fails = true;
    const get = () => (fails ? Promise.reject() : 'rt1_0');
    const client = await signedIn({ storage: { get, set: () => {} } });
    await pass(201_000);
    fails = false;
    await pass(15_000);
    expect(client.session?.accessToken).toBe('access-1');
  });

  it.each(['reuse_detected', 'revoked', 'expired_idle', 'expired_absolute', 'user_disabled', 'unknown'])(
    'ends the session on %s',
    async (code) => {
      const client = await signedIn();
      service.ended = code;
      const heard: unknown[] = [];
      client.onSession((session, reason) => heard.push(session ? 'in' : reason));
      expect(await client.refresh()).toBeNull();
      expect(heard).toEqual(['in', code]);
    },
  );

  it.each(['elsewhere', 'access_token_mismatch'])('keeps the session on %s', async (code) => {
    const client = await signedIn();
    service.ended = code;
    await expect(client.refresh()).rejects.toMatchObject({ code });
    expect(client.session).not.toBeNull();
  });
});

describe('tabs', () => {
  it('that expire at the same moment refresh once, also where there are no Web Locks', async () => {
    const first = await signedIn({ locks: null });
    const second = tab({ locks: null });
    await second.resume();
    const third = tab({ locks: null });
    await third.resume();
    expect(service.requests).toEqual([]);
    // The clock is not hurried: messages between tabs take real time.
    const refreshed = await Promise.all([first.refresh(), second.refresh(), third.refresh()]);
    const tokens = refreshed.map((session) => session?.accessToken);
    expect(tokens).toEqual(['access-1', 'access-1', 'access-1']);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('hear that another one has signed out', async () => {
    const first = await signedIn();
    const second = tab();
    await second.resume();
    const heard: unknown[] = [];
    second.onSession((session, reason) => heard.push(session ? 'in' : reason));
    const out = first.signOut();
    await pass(1_000);
    await out;
    await soon(() => expect(heard).toEqual(['in', 'signed_out']));
    expect(service.ended).toBe('revoked');
  });

  it('hear it also when the clock was set back meanwhile', async () => {
    const first = await signedIn();
    const second = tab();
    await second.resume();
    vi.setSystemTime(Date.now() - 60_000);
    const out = first.signOut();
    await pass(1_000);
    await out;
    await soon(() => expect(second.session).toBeNull());
  });

  it('take turns by Web Locks where there are any', async () => {
    const names: string[] = [];
    const locks = {
      request: <T>(name: string, work: () => Promise<T>) => {
        names.push(name);
        return inTurn.request(name, work);
      },
    };
    const client = await signedIn({ locks });
    await client.refresh();
    expect(names).toHaveLength(2);
    expect(new Set(names).size).toBe(1);
  });
});

describe('signing out', () => {
  it('is not done before the service has said so', async () => {
    const client = await signedIn({ patience: 1_000 });
    service.faults = new Array(20).fill(503);
    const refused = client.signOut().catch((error: RatchetError) => error.code);
    await pass(3_000);
    expect(await refused).toBe('unavailable');
    expect(client.session).not.toBeNull();
  });

  it('before resuming ends the session that the storage has', async () => {
    let kept: string | null = 'rt1_0';
    const storage = { get: () => kept, set: (token: string | null) => void (kept = token) };
    const out = tab({ storage }).signOut();
    await pass(1_000);
    await out;
    expect(service.presented).toEqual(['rt1_0']);
    expect(service.ended).toBe('revoked');
    expect(kept).toBeNull();
  });

  it('before resuming ends the session that another tab has', async () => {
    await signedIn();
    // The clock is not hurried: messages between tabs take real time.
    await tab().signOut();
    expect(service.ended).toBe('revoked');
  });
});

describe('closing', () => {
  it('stops everything but a refresh that has begun, whose token is kept', async () => {
    const kept: (string | null)[] = [];
    const storage = { get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
    const answers = held();
    const client = await signedIn({ storage, fetch: answers.fetch });
    const heard: unknown[] = [];
    const told: unknown[] = [];
    const others = new BroadcastChannel(`ratchet:token:https://auth-${number}.example`);
    others.onmessage = ({ data }) => told.push(data.session?.refreshToken);
    client.onSession((session) => heard.push(session?.accessToken));
    answers.hold();
    const refreshed = client.refresh();
    await soon(() => expect(service.requests).toEqual(['/refresh']));
    client.close();
    client.onSession((session) => heard.push(session?.accessToken));
    answers.go();
    expect((await refreshed)?.accessToken).toBe('access-1');
    await soon(() => expect(told).toEqual(['rt1_1']));
    await pass(600_000);
    others.close();
    expect(kept).toEqual(['rt1_0', 'rt1_1']);
    expect(heard).toEqual(['access-0', 'access-0']);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('lets a refresh that waits for its turn have it', async () => {
    const kept: (string | null)[] = [];
    const storage = { get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
    const client = await signedIn({ storage });
    await tab({ storage }).resume();
    const refreshed = client.refresh();
    client.close();
    await pass(1_000);
    expect((await refreshed)?.accessToken).toBe('access-1');
    expect(kept).toEqual(['rt1_0', 'rt1_1']);
  });

  it('by a listener comes after the other tabs have been told', async () => {
    const client = await signedIn();
    const other = tab();
    await other.resume();
    client.onSession((session) => session?.accessToken === 'access-1' && client.close());
    await client.refresh();
    await soon(() => expect(other.session?.accessToken).toBe('access-1'));
  });

  it('stops a client that has just met a fault by itself', async () => {
    const answers = held();
    const client = await signedIn({ patience: 0, fetch: answers.fetch });
    service.faults = [503];
    answers.hold();
    await pass(201_000);
    client.close();
    answers.go();
    await pass(600_000);
    expect(service.requests).toEqual(['/refresh']);
  });

  it('presents no token that another tab may have superseded', async () => {
    const first = await signedIn();
    const second = tab();
    await second.resume();
    await soon(() => expect(second.session).not.toBeNull());
    first.close();
    const refreshed = second.refresh();
    await pass(1_000);
    await refreshed;
    const old = first.refresh();
    await pass(1_000);
    expect((await old)?.accessToken).toBe('access-0');
    expect(service.presented).toEqual(['rt1_0']);
  });
});

describe('where tokens are', () => {
  it('cookie mode sends no refresh token and asks for confirmation', async () => {
    const seen: Request[] = [];
    const client = tab({
      mode: 'cookie',
      fetch: (input, init) => {
        seen.push(new Request(input, init));
        return service.fetch(input, init);
      },
    });
    await client.signIn({ name: 'ada', password: 'right' });
    await client.refresh();
    expect(await seen[0]?.json()).toMatchObject({ mode: 'cookie' });
    expect(await seen[1]?.json()).toEqual({});
    for (const request of seen) {
      expect(request.headers.get('x-ratchet')).toBe('1');
      expect(request.credentials).toBe('include');
    }
  });

  it('token mode keeps each token in the storage before it is used', async () => {
    const kept: (string | null)[] = [];
    const storage = { get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
    const client = await signedIn({ storage });
    await client.refresh();
    client.close();
    const reloaded = tab({ storage });
    const resumed = reloaded.resume();
    await pass(1_000);
    expect((await resumed)?.accessToken).toBe('access-2');
    const out = reloaded.signOut();
    await pass(1_000);
    await out;
    expect(kept).toEqual(['rt1_0', 'rt1_1', 'rt1_2', null]);
  });
});
