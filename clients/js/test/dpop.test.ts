// Sessions that are bound to a key, over HTTP, against a verifier that is not ours.

import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';

import { accounts } from '../src/accounts.js';
import { dpop } from '../src/dpop.js';
import { createClient, type Binding, type Client, type Options } from '../src/index.js';
import { BoundService } from './bound-service.js';

let service: BoundService;
const ending: { close(): void }[] = [];

beforeEach(async () => {
  service = await start();
});

afterEach(() => {
  for (const one of ending.splice(0)) one.close();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
});

async function start() {
  const one = await BoundService.start();
  ending.push(one);
  return one;
}

function client(options: Partial<Options> = {}): Client {
  const one = createClient({ baseUrl: service.url, mode: 'token', dpop: dpop(), ...options });
  ending.push(one);
  return one;
}

async function signedIn(options: Partial<Options> = {}, name = 'ada') {
  const one = client(options);
  await one.signIn({ name, password: 'right' });
  service.seen.length = 0;
  return one;
}

/** What a client does without `dpop`. */
const unbound: Binding = (_base, plain) => plain;

const keyPair = () =>
  crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, false, ['sign']) as Promise<CryptoKeyPair>;

/** Waits long enough for something that must not happen. */
const aMoment = () => new Promise((resolve) => setTimeout(resolve, 50));

describe('a sign-in', () => {
  it('binds the session to a key, and takes a second request for the first nonce', async () => {
    const one = client();
    const { claims } = await one.signIn({ name: 'ada', password: 'right' });
    expect(claims.cnf).toEqual({ jkt: expect.stringMatching(/^[\w-]{43}$/) });
    expect(service.log).toEqual(['POST /authenticate proof', 'POST /authenticate nonce']);
    await one.signIn({ name: 'ada', password: 'right' });
    expect(service.log).toHaveLength(3);
    expect(service.seen[0]!.body).toBe(service.seen[1]!.body);
  });

  it('with a wrong password is refused once', async () => {
    const one = client();
    await expect(one.signIn({ name: 'ada', password: 'wrong' })).rejects.toMatchObject({ code: 'invalid_credentials' });
    expect(service.log).toEqual(['POST /authenticate proof', 'POST /authenticate nonce']);
  });

  it('at a service that binds nothing is a bearer’s', async () => {
    service.isOld = true;
    const one = await signedIn();
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
    expect(service.seen.map(({ request, scheme }) => [request, scheme])).toEqual([
      ['GET /users', 'Bearer'], ['POST /refresh', undefined],
    ]);
    expect(service.seen[0]!.proof).toBeUndefined();
  });

  it('says each request only what it is about', async () => {
    const one = await signedIn({ baseUrl: `${service.url}/base/` });
    await one.fetch('/users?page=2#top', { method: 'GET' });
    await one.refresh();
    const [resource, refresh] = service.seen.map(({ proof }) => proof!);
    expect(resource).toMatchObject({ htm: 'GET', htu: `${service.url}/base/users`, ath: expect.any(String) });
    expect(refresh).toMatchObject({ htm: 'POST', htu: `${service.url}/base/refresh` });
    expect(refresh).not.toHaveProperty('ath');
    expect(service.proofs.seen.size).toBe(3);
  });
});

describe('a bound session', () => {
  it.each(['token', 'cookie'] as const)('goes on in %s mode, with one request each while the nonce is young', async (mode) => {
    const one = await signedIn({ mode });
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
    expect((await one.fetch('/users')).status).toBe(200);
    await one.signOut();
    expect(service.log).toEqual(['GET /users nonce', 'POST /refresh nonce', 'GET /users nonce', 'POST /logout nonce']);
    expect(service.seen.map(({ scheme }) => scheme)).toEqual(['DPoP', undefined, 'DPoP', undefined]);
    expect(service.rules.ended).toBe('revoked');
  });

  it('repeats a request once if the nonce is too old, body and all', async () => {
    const one = await signedIn();
    service.proofs.ahead = 61_000;
    const body = JSON.stringify({ name: 'Grace' });
    await one.fetch(new Request(`${service.url}/users`, { method: 'POST', body }));
    expect(service.log).toEqual(['POST /users nonce', 'POST /users nonce']);
    expect(service.seen.map((request) => request.body)).toEqual([body, body]);
  });

  it.each([3_600_000, -3_600_000])('begins and goes on if the clock of the device is wrong by %i ms', async (ahead) => {
    service.proofs.ahead = ahead;
    const one = await signedIn();
    expect((await one.fetch('/users')).status).toBe(200);
    // And is corrected while the session lives.
    service.proofs.ahead = 0;
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
    expect(service.log).toEqual([...Array(3).fill('GET /users nonce'), 'POST /refresh nonce']);
  });

  it('is kept if a proof is refused, which rejects and is repeated once', async () => {
    const one = await signedIn();
    const { session } = one;
    const heard: string[] = [];
    one.subscribe(({ type }) => heard.push(type));
    service.proofs.areRefused = true;
    await expect(one.fetch('/users')).rejects.toMatchObject({ name: 'RatchetError', code: 'invalid_dpop_proof', status: 401 });
    expect(service.log).toEqual(['GET /users nonce', 'GET /users nonce']);
    await expect(one.refresh()).rejects.toMatchObject({ code: 'invalid_dpop_proof', status: 400 });
    await expect(one.signOut()).rejects.toMatchObject({ code: 'invalid_dpop_proof', status: 400 });
    expect(one.session).toBe(session);
    service.proofs.areRefused = false;
    await one.refresh();
    expect(heard).toEqual(['refreshed']);
  });

  it('is refreshed if the access token has expired, as any other', async () => {
    const one = await signedIn();
    service.rules.generation += 1;
    expect((await one.fetch('/users')).status).toBe(200);
    expect(service.log).toEqual(['GET /users nonce', 'POST /refresh nonce', 'GET /users nonce']);
  });

  it('ends where the service says so', async () => {
    const one = await signedIn();
    service.rules.ended = 'revoked';
    await one.refresh();
    expect(one.status).toBe('signed_out');
  });

  it('is worth nothing to anybody who has its tokens, and goes on for its owner', async () => {
    const one = await signedIn();
    const { accessToken, refreshToken } = one.session!;
    const stolen = { storage: { get: () => refreshToken, set: () => {} } };
    for (const thief of [client(stolen), client({ ...stolen, dpop: unbound })]) {
      expect(await thief.refresh()).toBeNull();
      await expect(thief.signOut()).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    }
    const asBearer = await fetch(`${service.url}/users`, { headers: { authorization: `Bearer ${accessToken}` } });
    expect(asBearer.status).toBe(401);
    await one.refresh();
    expect((await one.fetch('/users')).status).toBe(200);
  });

  it('sends no proof where none is needed', async () => {
    const one = await signedIn();
    await accounts(one).requestPasswordReset('ada@example.com');
    expect(service.log).toEqual(['POST /users/password-reset']);
  });

  it('can be given up by the caller between the two requests', async () => {
    const controller = new AbortController();
    const one = await signedIn({
      fetch: async (input, init) => {
        const answer = await fetch(input, init);
        if (service.proofs.ahead) controller.abort();
        return answer;
      },
    });
    service.proofs.ahead = 61_000;
    await expect(one.fetch('/users', { signal: controller.signal })).rejects.toThrow(/abort/);
    await aMoment();
    expect(service.log).toHaveLength(1);
  });
});

describe('a session that began without a key', () => {
  it('stays a bearer’s until the next sign-in', async () => {
    let kept: string | null = null;
    const storage = { get: () => kept, set: (token: string | null) => void (kept = token) };
    const before = await signedIn({ storage, dpop: unbound });
    before.close();
    const one = client({ storage });
    await one.resume();
    expect((await one.fetch('/users')).status).toBe(200);
    expect(service.log).toEqual(['POST /refresh proof', 'POST /refresh nonce', 'GET /users']);
    await one.signIn({ name: 'ada', password: 'right' });
    expect((await one.fetch('/users')).status).toBe(200);
    expect(service.seen.map(({ scheme }) => scheme).filter(Boolean)).toEqual(['Bearer', 'DPoP']);
  });
});

describe('an API of another origin', () => {
  it('gets proofs for its own URLs, with nonces of its own', async () => {
    const api = await start();
    const one = await signedIn({ origins: [api.url] });
    Object.assign(api.rules, { chains: service.rules.chains });
    // It has its own nonces, and accepts none of the service's.
    api.proofs.ahead = 1_000_000;
    expect((await one.fetch(`${api.url}/users?of=ada`)).status).toBe(200);
    expect((await one.fetch(`${api.url}/users`)).status).toBe(200);
    expect(api.log).toEqual(['GET /users proof', 'GET /users nonce', 'GET /users nonce']);
    expect(api.seen.at(-1)!.proof).toMatchObject({ htu: `${api.url}/users` });
    expect(service.log).toEqual([]);
    expect((await one.fetch('/users')).status).toBe(200);
  });

  it('may say so in the words of the RFC only', async () => {
    const api = await start();
    api.isApi = true;
    const one = await signedIn({ origins: [api.url] });
    Object.assign(api.rules, { chains: service.rules.chains });
    expect((await one.fetch(`${api.url}/users`)).status).toBe(200);
    expect(api.log).toEqual(['GET /users proof', 'GET /users nonce']);
    // The caller gets its last response.
    api.proofs.areRefused = true;
    expect((await one.fetch(`${api.url}/users`)).status).toBe(401);
    expect(one.status).toBe('signed_in');
  });
});

describe('the key', () => {
  it('is one for each client of a process, so that one user never counts as the other', async () => {
    const binding = dpop();
    const ada = await signedIn({ dpop: binding });
    const grace = await signedIn({ dpop: binding }, 'grace');
    const jkt = ({ session }: Client) => (session!.claims.cnf as { jkt: string }).jkt;
    expect(jkt(ada)).not.toBe(jkt(grace));
    const { refreshToken } = ada.session!;
    const other = client({ dpop: binding, storage: { get: () => refreshToken!, set: () => {} } });
    expect(await other.resume()).toBeNull();
    expect(other.status).toBe('signed_out');
    await grace.refresh();
    expect(grace.session!.user.name).toBe('grace');
  });

  it.each([
    ['is gone', () => dpop()],
    ['is not used any more', () => unbound],
  ])('that %s leaves nobody signed in, and the token where it is', async (_how, binding) => {
    const kept: (string | null)[] = [];
    const storage = { get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
    const keys = await keyPair();
    (await signedIn({ storage, dpop: dpop({ keys }) })).close();
    const [token] = kept;
    const one = client({ storage, dpop: binding() });
    const heard: unknown[] = [];
    one.subscribe(({ type, userId, ...more }) => heard.push([type, userId, 'reason' in more && more.reason]));
    expect(await one.resume()).toBeNull();
    expect(one.status).toBe('signed_out');
    expect(await one.getAccessToken()).toBeNull();
    expect(await one.refresh()).toBeNull();
    expect(heard).toEqual([['signed_out', undefined, 'invalid_dpop_proof']]);
    expect(kept).toEqual([token]);
    // A client that has the key is still signed in.
    const owner = client({ storage, dpop: dpop({ keys }) });
    expect((await owner.resume())?.user.name).toBe('ada');
    await one.signIn({ name: 'ada', password: 'right' });
    expect((await one.fetch('/users')).status).toBe(200);
  });

  it('is not taken for lost if only the nonce is refused', async () => {
    const kept: (string | null)[] = [];
    const storage = { get: () => kept.at(-1), set: (token: string | null) => void kept.push(token) };
    const keys = await keyPair();
    (await signedIn({ storage, dpop: dpop({ keys }) })).close();
    const one = client({ storage, dpop: dpop({ keys }) });
    const nonce = vi.spyOn(service.proofs, 'nonce').mockReturnValue('nonce-0');
    await expect(one.resume()).rejects.toMatchObject({ code: 'use_dpop_nonce', status: 400 });
    expect(one.status).toBe('unknown');
    nonce.mockRestore();
    expect((await one.resume())?.user.name).toBe('ada');
  });

  it('that is gone in one tab signs no other tab out', async () => {
    const keys = await keyPair();
    let kept: string | null = null;
    const storage = { get: () => kept, set: (token: string | null) => void (kept = token) };
    const channel = () => {
      const one = new BroadcastChannel(service.url);
      ending.push(one);
      return one;
    };
    const owner = await signedIn({ storage, dpop: dpop({ keys }), channel: channel() });
    const other = client({ storage, channel: channel() });
    // It hears of the session before it asks the service.
    expect((await other.resume())?.user.name).toBe('ada');
    await expect(other.refresh()).rejects.toMatchObject({ code: 'invalid_dpop_proof' });
    const alone = client({ storage });
    expect(await alone.resume()).toBeNull();
    await aMoment();
    expect([owner.status, other.status]).toEqual(['signed_in', 'signed_in']);
    await owner.refresh();
    expect(owner.status).toBe('signed_in');
  });

  it('signs the second user of a client in, and out of the session of the first', async () => {
    const one = await signedIn();
    const first = one.session!;
    const second = await one.signIn({ name: 'grace', password: 'right' });
    expect(second.claims.cnf).toEqual(first.claims.cnf);
    await one.fetch('/users');
    expect(service.rules.bearers).toEqual([second.accessToken]);
  });

  it('may be the caller’s, and then outlives the client', async () => {
    const keys = await keyPair();
    let kept: string | null = null;
    const storage = { get: () => kept, set: (token: string | null) => void (kept = token) };
    (await signedIn({ storage, dpop: dpop({ keys }) })).close();
    expect((await client({ storage, dpop: dpop({ keys }) }).resume())?.user.name).toBe('ada');
  });

  it('survives a sign-out: other tabs use it', async () => {
    const one = await signedIn();
    const { cnf } = one.session!.claims;
    await one.signOut();
    expect((await one.signIn({ name: 'ada', password: 'right' })).claims.cnf).toEqual(cnf);
  });

  it.each([
    ['throws', () => { throw new DOMException('blocked', 'SecurityError'); }],
    ['fails', () => {
      const opening: Partial<IDBOpenDBRequest> = {};
      setTimeout(() => opening.onerror!.call(opening as IDBOpenDBRequest, new Event('error')));
      return opening;
    }],
    ['does not answer', () => ({})],
  ])('is kept in memory if IndexedDB %s', async (_how, open) => {
    vi.stubGlobal('indexedDB', { open });
    const one = await signedIn();
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
    expect(service.log).toHaveLength(2);
  });

  it('is never extractable', async () => {
    const made = vi.spyOn(crypto.subtle, 'generateKey');
    await signedIn();
    const { privateKey } = (await made.mock.results[0]!.value) as CryptoKeyPair;
    expect(privateKey.extractable).toBe(false);
    await expect(crypto.subtle.exportKey('jwk', privateKey)).rejects.toThrow();
  });

  it('needs WebCrypto, and says so at once', () => {
    vi.stubGlobal('crypto', {});
    expect(() => dpop()).toThrow(/^dpop: needs WebCrypto/);
  });
});

describe('a nonce', () => {
  it('is shared with the other tabs, which need not ask for one', async () => {
    const shelf = new Map<string, string>();
    vi.stubGlobal('document', {});
    vi.stubGlobal('localStorage', {
      getItem: (name: string) => shelf.get(name) ?? null,
      setItem: (name: string, value: string) => shelf.set(name, value),
    });
    const tab = () => client({ channel: null, locks: null, devices: null });
    await tab().signIn({ name: 'ada', password: 'right' });
    await tab().signIn({ name: 'ada', password: 'right' });
    expect(service.log).toEqual(['POST /authenticate proof', 'POST /authenticate nonce', 'POST /authenticate nonce']);
    // Any other stored value costs one more request, and nothing else.
    for (const name of shelf.keys()) shelf.set(name, 'nonsense');
    await tab().signIn({ name: 'ada', password: 'right' });
    expect(service.log).toHaveLength(5);
  });

  it('is not looked for in the storage of a server', async () => {
    const touched = vi.fn();
    Object.defineProperty(globalThis, 'localStorage', { configurable: true, get: touched });
    await signedIn();
    expect(touched).not.toHaveBeenCalled();
    Reflect.deleteProperty(globalThis, 'localStorage');
  });
});

describe('the cost', () => {
  it('of a proof is printed', async () => {
    const one = await signedIn();
    const bearer = client({ dpop: unbound });
    await bearer.signIn({ name: 'ada', password: 'right' });
    const time = async (work: () => Promise<unknown>) => {
      for (let round = 0; round < 20; round += 1) await work();
      const begun = performance.now();
      for (let round = 0; round < 200; round += 1) await work();
      return (performance.now() - begun) / 200;
    };
    const [withProof, without] = [await time(() => one.fetch('/users')), await time(() => bearer.fetch('/users'))];
    console.log(`a request with a proof: ${withProof.toFixed(2)} ms, without: ${without.toFixed(2)} ms, ${(withProof / without).toFixed(1)} times`);
    expect(service.rules.bearers).toHaveLength(440);
  });
});
