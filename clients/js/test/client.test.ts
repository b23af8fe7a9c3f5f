import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { createClient, RatchetError, type Client, type Options } from '../src/index.js';
import { Service } from './service.js';

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

/** Lets time pass for everything that waits for it. */
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);

describe('signing in', () => {
  it('tells listeners of the session', async () => {
    const client = tab();
    const heard: unknown[] = [];
    client.onSession((session, reason) => heard.push(session?.accessToken ?? reason));
    await client.signIn({ name: 'ada', password: 'right' });
    expect(heard).toEqual([undefined, 'access-0']);
  });

  it('rejects with the code of the service and is not tried again', async () => {
    const refusal = await tab().signIn({ name: 'ada', password: 'x' }).catch((error) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({ code: 'invalid_credentials', status: 401 });
    expect(service.requests).toEqual(['/authenticate']);
  });

  it('says when to try again', async () => {
    service.faults = [429];
    const refusal = tab().signIn({ name: 'ada', password: 'right' });
    await expect(refusal).rejects.toMatchObject({ status: 429, retryAfter: 1 });
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
  it('that expire at the same moment refresh once', async () => {
    const first = await signedIn();
    const second = tab();
    await second.resume();
    const third = tab();
    await third.resume();
    expect(service.requests).toEqual([]);
    const refreshed = Promise.all([first.refresh(), second.refresh(), third.refresh()]);
    await pass(2_000);
    const tokens = (await refreshed).map((session) => session?.accessToken);
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
    await vi.waitFor(() => expect(heard).toEqual(['in', 'signed_out']));
    expect(service.ended).toBe('revoked');
  });

  it('take turns by Web Locks where there are any', async () => {
    const names: string[] = [];
    const locks = {
      request: <T>(name: string, work: () => Promise<T>) => {
        names.push(name);
        return work();
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
