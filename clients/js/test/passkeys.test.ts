// Passkeys: signing in with one, alone or in place of a code, and the user's own.

import { describe, expect, it, vi } from 'vitest';

import { dpop } from '../src/dpop.js';
import { createClient, RatchetError, type Client, type Options } from '../src/index.js';
import { conditionalAvailable, passkeys, passkeysAvailable, type Passkeys } from '../src/passkeys.js';
import { isSecondFactorRequired, secondFactor } from '../src/second-factor.js';
import { Authenticator } from './authenticator.js';
import { BoundService } from './bound-service.js';
import { contractOf, exampleOf } from './contract.js';
import { problem, REQUEST } from './service.js';
import {
  afterPassing, client, ending, generations, named, onlyPass, pass, report, service, shelf, signedIn, soon,
} from './world.js';

const refusal = (promise: Promise<unknown>) => promise.then(() => 'none', (error: unknown) => error as RatchetError);

/** What was sent to `/passkeys`. */
function recorded() {
  const sent: { path: string; headers: Headers; credentials: string; body: Record<string, unknown> }[] = [];
  const request: typeof fetch = async (input, init) => {
    const asked = new Request(input, init);
    const path = new URL(asked.url).pathname;
    const { headers, credentials } = asked;
    if (path !== '/users') sent.push({ path, headers, credentials, body: await asked.clone().json() });
    return service.fetch(asked);
  };
  return { sent, fetch: request };
}

/** A sign-in whose passkey the user chooses at once. */
async function signIn(one: Client, authenticator: Authenticator, id?: string) {
  const times = authenticator.asked.length + 1;
  const signing = passkeys(one).signInWithPasskey();
  signing.catch(() => {});
  await authenticator.isAsked(times);
  authenticator.choose(id);
  return signing;
}

/** Signs in with a password, and returns the challenge for the second factor. */
async function challenged(one: Client, name = 'ada'): Promise<string> {
  service.secondFactor ??= 'required';
  const error = await one.signIn({ name, password: 'right' }).catch((error: unknown) => error);
  if (!isSecondFactorRequired(error)) throw error;
  return error.challenge;
}

describe('a passkey', () => {
  it('signs its user in, and all is as after any other sign-in', async () => {
    const authenticator = new Authenticator();
    const storage = shelf();
    const one = client({ storage });
    const heard = report(one);
    const session = await signIn(one, authenticator);
    expect(one.session).toBe(session);
    expect(heard).toEqual(['signed_in ada access-0']);
    expect(generations(storage.kept)).toEqual([0]);
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
    expect(named(one.session)).toBe('access-1');
    await one.signOut();
    expect(service.requests).toEqual(['/passkeys/options', '/passkeys/authenticate', '/users', '/refresh', '/logout']);
  });

  it.each(['cookie', 'token'] as const)('is sent with nothing of the user (%s)', async (mode) => {
    const authenticator = new Authenticator();
    const { sent, fetch } = recorded();
    const signing = passkeys(client({ mode, fetch })).signInWithPasskey({ device: 'My laptop' });
    await authenticator.isAsked();
    authenticator.choose();
    await signing;
    expect(sent.map(({ path, body }) => [path, body])).toEqual([
      ['/passkeys/options', {}],
      ['/passkeys/authenticate', {
        ceremony: 'pk1_1', credential: { id: 'right', by: 'the browser' }, device: 'My laptop', mode,
      }],
    ]);
    const credentials = mode === 'cookie' ? 'include' : 'omit';
    expect(sent.map((one) => [one.credentials, one.headers.get('x-ratchet')])).toEqual(
      Array(2).fill([credentials, mode === 'cookie' ? '1' : null]),
    );
  });

  it('replaces the session of another user, in every tab', async () => {
    const authenticator = new Authenticator();
    const first = await signedIn({}, 'grace');
    const second = client();
    await second.resume();
    const heard = report(first);
    await pass(1_000);
    await signIn(second, authenticator);
    await soon(() => expect(heard).toEqual(['user_changed ada access-0, before grace']));
  });

  it('that is refused leaves the session alone that there is', async () => {
    const authenticator = new Authenticator();
    const one = await signedIn({}, 'grace');
    expect(await refusal(signIn(one, authenticator, 'wrong'))).toMatchObject({ code: 'invalid_passkey', status: 401 });
    expect(one.session?.user.name).toBe('grace');
    expect(service.requests).toEqual(['/passkeys/options', '/passkeys/authenticate']);
  });

  it.each(['lost', 503, 'HTML'] as const)('is not sent again after a fault (%s)', async (fault) => {
    const authenticator = new Authenticator();
    const one = client();
    const signing = passkeys(one).signInWithPasskey();
    await authenticator.isAsked();
    service.faults = [fault];
    authenticator.choose();
    expect(await refusal(afterPassing(60_000, signing))).toMatchObject({ code: 'unavailable' });
    expect(service.requests).toEqual(['/passkeys/options', '/passkeys/authenticate']);
    expect(one.status).toBe('unknown');
  });
});

describe('the browser', () => {
  it('lets other requests pass while the user chooses', async () => {
    const authenticator = new Authenticator();
    const one = await signedIn();
    const signing = passkeys(one).signInWithPasskey();
    await authenticator.isAsked();
    await one.refresh();
    expect(named(one.session)).toBe('access-1');
    authenticator.choose();
    await signing;
  });

  it.each([
    ['NotAllowedError', { code: 'cancelled', name: 'RatchetError' }],
    ['AbortError', { code: 'cancelled', name: 'RatchetError' }],
    ['InvalidStateError', { code: 'passkey_exists', name: 'RatchetError' }],
    ['SecurityError', { name: 'SecurityError' }],
  ])('refuses with %s, which is no refusal of the service', async (name, expected) => {
    const authenticator = new Authenticator();
    const one = client();
    const signing = passkeys(one).signInWithPasskey();
    await authenticator.isAsked();
    authenticator.refuse(name);
    const error = await refusal(signing);
    expect(error).toMatchObject(expected);
    if (error instanceof RatchetError) expect(error.cause).toMatchObject({ name });
    expect(one.status).toBe('unknown');
    expect(service.requests).toEqual(['/passkeys/options']);
  });

  it.each(['before', 'while the options come', 'while the user chooses'])('stops at a signal (%s)', async (when) => {
    const authenticator = new Authenticator();
    const stop = new AbortController();
    if (when === 'before') stop.abort();
    const signing = passkeys(client()).signInWithPasskey({ signal: stop.signal });
    if (when === 'while the user chooses') await authenticator.isAsked();
    stop.abort();
    expect(await refusal(signing)).toMatchObject({ code: 'cancelled', cause: { name: 'AbortError' } });
    expect(service.requests).toEqual(when === 'before' ? [] : ['/passkeys/options']);
  });

  it('is asked for one passkey at a time', async () => {
    const authenticator = new Authenticator();
    const keys = passkeys(client());
    const suggested = keys.signInWithPasskey({ conditional: true });
    await authenticator.isAsked();
    expect(authenticator.latest.options.mediation).toBe('conditional');
    const chosen = keys.signInWithPasskey();
    expect(await refusal(suggested)).toMatchObject({ code: 'cancelled' });
    expect(authenticator.asked[0]!.options.signal.aborted).toBe(true);
    await authenticator.isAsked(2);
    expect(authenticator.latest.options).not.toHaveProperty('mediation');
    authenticator.choose();
    expect((await chosen).user.name).toBe('ada');
  });

  it('shows its dialog until the user has chosen, whatever else is suggested', async () => {
    const authenticator = new Authenticator();
    const keys = passkeys(client());
    const chosen = keys.signInWithPasskey();
    await authenticator.isAsked();
    expect(await refusal(keys.signInWithPasskey({ conditional: true }))).toMatchObject({ code: 'cancelled' });
    authenticator.choose();
    await chosen;
    const first = keys.signInWithPasskey({ conditional: true });
    await authenticator.isAsked(2);
    const second = keys.signInWithPasskey({ conditional: true });
    expect(await refusal(first)).toMatchObject({ code: 'cancelled' });
    await authenticator.isAsked(3);
    authenticator.choose();
    await second;
  });

  it('is asked for the latest, whichever options come first', async () => {
    const authenticator = new Authenticator();
    const answers: (() => void)[] = [];
    const slow: typeof fetch = async (input, init) => {
      const response = await service.fetch(input, init);
      if (String(input).endsWith('/options')) await new Promise<void>((resolve) => answers.push(resolve));
      return response;
    };
    const keys = passkeys(client({ fetch: slow }));
    const [suggested, chosen] = [keys.signInWithPasskey({ conditional: true }), keys.signInWithPasskey()];
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    answers[1]!();
    await authenticator.isAsked();
    answers[0]!();
    expect(await refusal(suggested)).toMatchObject({ code: 'cancelled' });
    expect(authenticator.asked[0]!.options.signal.aborted).toBe(false);
    authenticator.choose();
    await refusal(chosen);
  });

  it('tells whether it has passkeys', async () => {
    vi.stubGlobal('PublicKeyCredential', undefined);
    expect([passkeysAvailable(), await conditionalAvailable()]).toEqual([false, false]);
    new Authenticator('old');
    expect([passkeysAvailable(), await conditionalAvailable()]).toEqual([true, false]);
    new Authenticator('modern');
    expect([passkeysAvailable(), await conditionalAvailable()]).toEqual([true, true]);
  });
});

describe('suggestions', () => {
  async function suggested(options: Partial<Options> = {}) {
    onlyPass();
    const authenticator = new Authenticator();
    const signing = passkeys(client(options)).signInWithPasskey({ conditional: true });
    signing.catch(() => {});
    await pass(100);
    return { authenticator, signing };
  }

  it('have fresh options before theirs expire, as often as it takes', async () => {
    const { authenticator, signing } = await suggested();
    await pass(230_000);
    expect(authenticator.asked).toHaveLength(1);
    await pass(3_600_000);
    expect(authenticator.asked.length).toBeGreaterThan(12);
    expect(authenticator.asked.filter(({ options }) => !options.signal.aborted)).toHaveLength(1);
    authenticator.choose();
    expect((await afterPassing(1_000, signing)).user.name).toBe('ada');
    service.requests = [];
    await pass(600_000);
    expect(service.requests).not.toContain('/passkeys/options');
  });

  it('of a page that nobody sees have none, until somebody does', async () => {
    const { authenticator } = await suggested();
    authenticator.page.hidden = true;
    await pass(3_600_000);
    expect(authenticator.asked).toHaveLength(1);
    authenticator.page.hidden = false;
    authenticator.page.dispatchEvent(new Event('visibilitychange'));
    await pass(500);
    expect(authenticator.asked).toHaveLength(2);
    // What was replaced listens no more.
    authenticator.page.dispatchEvent(new Event('visibilitychange'));
    await pass(500);
    expect(authenticator.asked).toHaveLength(2);
  });

  it('outlive a service that cannot be reached', async () => {
    const { authenticator, signing } = await suggested();
    service.faults = ['lost', 503, 'HTML'];
    await pass(320_000);
    expect(authenticator.asked[0]!.options.signal.aborted).toBe(false);
    expect(service.requests).toHaveLength(4);
    await pass(30_000);
    expect(authenticator.asked).toHaveLength(2);
    authenticator.choose();
    await afterPassing(1_000, signing);
  });

  it('end with the signal, also after fresh options', async () => {
    onlyPass();
    const authenticator = new Authenticator();
    const stop = new AbortController();
    const signing = refusal(passkeys(client()).signInWithPasskey({ conditional: true, signal: stop.signal }));
    await pass(300_000);
    expect(authenticator.asked).toHaveLength(2);
    stop.abort();
    expect(await signing).toMatchObject({ code: 'cancelled' });
    await pass(600_000);
    expect(authenticator.asked).toHaveLength(2);
  });

  it('are not made if the service refuses', async () => {
    const { signing } = await suggested({ fetch: async () => problem(404, 'not_found') });
    expect(await refusal(signing)).toMatchObject({ code: 'not_found' });
  });
});

describe('a passkey in place of a code', () => {
  it('completes the sign-in, and makes the device known under the name that was typed', async () => {
    const authenticator = new Authenticator();
    const { sent, fetch } = recorded();
    const devices = new Map<string, string>();
    const store = {
      getItem: (key: string) => devices.get(key) ?? null,
      setItem: (key: string, token: string) => void devices.set(key, token),
      removeItem: (key: string) => void devices.delete(key),
    };
    const one = client({ fetch, devices: store });
    const challenge = await challenged(one, 'ada');
    const signing = passkeys(one).completeWithPasskey({ name: 'Ada', challenge });
    await authenticator.isAsked();
    authenticator.choose();
    expect(one.session).toBe(null);
    expect(await signing).toBe(one.session);
    expect(sent.slice(1).map(({ body }) => body)).toEqual([
      { challenge },
      { ceremony: 'pk1_1', credential: { id: 'right', by: 'the browser' }, challenge, mode: 'token' },
    ]);
    await challenged(client({ devices: store }), 'ada');
    expect(service.devices).toEqual([undefined, 'dt1_1']);
  });

  it('that the user does not have, or does not choose, leaves the code', async () => {
    const authenticator = new Authenticator();
    const one = client();
    const challenge = await challenged(one, 'grace');
    expect(await refusal(passkeys(one).completeWithPasskey({ name: 'grace', challenge }))).toMatchObject({ code: 'no_passkey' });
    expect(authenticator.asked).toEqual([]);
    await secondFactor(one).signIn({ name: 'grace', challenge, code: '123456' });

    const other = await challenged(one);
    const signing = refusal(passkeys(one).completeWithPasskey({ name: 'ada', challenge: other }));
    await authenticator.isAsked();
    authenticator.refuse();
    expect(await signing).toMatchObject({ code: 'cancelled' });
    await secondFactor(one).signIn({ name: 'ada', challenge: other, code: '123456' });
  });

  it('leaves nothing of the ceremony in a storage, and nothing with other tabs', async () => {
    const authenticator = new Authenticator();
    const storage = shelf();
    const said: unknown[] = [];
    const one = client({
      storage,
      channel: ending({ postMessage: (message: unknown) => said.push(message), onmessage: null, close: () => {} }),
    });
    const challenge = await challenged(one);
    const signing = passkeys(one).completeWithPasskey({ name: 'ada', challenge });
    await authenticator.isAsked();
    authenticator.choose();
    await signing;
    const kept = JSON.stringify([storage.kept, said, one.session]);
    for (const text of [challenge, 'pk1_', 'the browser']) expect(kept).not.toContain(text);
  });
});

describe('a browser', () => {
  const buffers = (of: unknown): unknown =>
    JSON.parse(JSON.stringify(of, (_name, value) => (value instanceof Uint8Array ? [...value] : value)));

  it('that converts JSON does so', async () => {
    const authenticator = new Authenticator();
    await signIn(client(), authenticator);
    expect(authenticator.latest.options.publicKey).toEqual({ parsed: REQUEST });
  });

  it.each(['old', 'extension'] as const)('that does not is given bytes, and its bytes are read (%s)', async (browser) => {
    const authenticator = new Authenticator(browser);
    const { sent, fetch } = recorded();
    await signIn(client({ fetch }), authenticator);
    expect(buffers(authenticator.latest.options.publicKey)).toEqual({
      ...REQUEST, challenge: [255, 254, 253], allowCredentials: [{ type: 'public-key', id: [1] }],
    });
    expect(sent[1]!.body.credential).toEqual({
      id: 'right', rawId: 'right', type: 'public-key', clientExtensionResults: {},
      response: { clientDataJSON: 'AQ', authenticatorData: 'Ag', signature: '__4' },
    });
  });

  it.each(['old', 'extension'] as const)('makes a passkey with bytes too (%s)', async (browser) => {
    const { authenticator, asked, keys } = await own(browser);
    await added(keys, authenticator);
    expect(buffers(authenticator.latest.options.publicKey)).toEqual({
      ...CREATION, challenge: [1], user: { ...CREATION.user, id: [1] }, excludeCredentials: [{ type: 'public-key', id: [255, 254, 253] }],
    });
    expect(asked[1]!.body).toMatchObject({
      credential: { response: { clientDataJSON: 'AQ', attestationObject: 'Ag', transports: ['internal'] } },
    });
  });
});

const CREATION = {
  challenge: 'AQ', rp: { id: 'auth.example', name: 'Ratchet' }, user: { id: 'AQ', name: 'ada', displayName: 'ada' },
  pubKeyCredParams: [{ type: 'public-key', alg: -7 }], excludeCredentials: [{ type: 'public-key', id: '__79' }],
};
const ENTRY = { id: 'a-b_c', name: 'My phone', created_at: 1_795_521_600, backed_up: true };
const PASSKEY = { id: 'a-b_c', name: 'My phone', createdAt: 1_795_521_600_000, lastUsedAt: undefined, backedUp: true };

interface Asked {
  readonly request: string;
  readonly body: unknown;
  readonly token: string | undefined;
}

/** A signed-in user, and the recorded requests. `fault` is what the next registrations get. */
async function own(browser?: 'modern' | 'old' | 'extension', faults: Response[] = []) {
  const authenticator = new Authenticator(browser);
  const asked: Asked[] = [];
  const request: typeof fetch = async (input, init) => {
    const sent = new Request(input, init);
    const { pathname } = new URL(sent.url);
    if (!pathname.startsWith('/users/me/passkeys')) return service.fetch(sent);
    const token = sent.headers.get('authorization')?.replace('Bearer ', '');
    const text = await sent.text();
    asked.push({ request: `${sent.method} ${pathname}`, body: text && JSON.parse(text), token });
    if (pathname.endsWith('/options')) return Response.json({ ceremony: 'pk1_0', options: CREATION, expires_in: 300 });
    if (sent.method === 'DELETE') return new Response(null, { status: 204 });
    if (sent.method === 'GET') return Response.json({ passkeys: [ENTRY, { ...ENTRY, last_used_at: 1_795_521_900 }] });
    const fault = sent.method === 'POST' && faults.shift();
    return fault || Response.json(ENTRY, { status: sent.method === 'POST' ? 201 : 200 });
  };
  const one = await signedIn({ fetch: request });
  return { one, asked, authenticator, keys: passkeys(one) };
}

async function added(keys: Passkeys, authenticator: Authenticator) {
  const adding = keys.addPasskey({ password: 'p', name: 'My phone' });
  adding.catch(() => {});
  await authenticator.isAsked();
  authenticator.choose('new');
  return adding;
}

const REGISTRATION = {
  request: 'POST /users/me/passkeys',
  body: { ceremony: 'pk1_0', credential: { id: 'new', by: 'the browser' }, name: 'My phone' },
};

describe('the passkeys of a signed-in user', () => {
  it('begin with the password', async () => {
    const { one, asked, authenticator, keys } = await own();
    expect(await added(keys, authenticator)).toEqual(PASSKEY);
    expect(authenticator.latest.options.publicKey).toEqual({ parsed: CREATION });
    const token = one.session?.accessToken;
    expect(asked).toEqual([
      { request: 'POST /users/me/passkeys/options', body: { password: 'p' }, token }, { ...REGISTRATION, token },
    ]);
  });

  it.each<[string, (of: Passkeys) => Promise<unknown>, string, unknown, unknown]>([
    ['are listed', (of) => of.passkeys(), 'GET /users/me/passkeys', '', [PASSKEY, { ...PASSKEY, lastUsedAt: 1_795_521_900_000 }]],
    ['get other names', (of) => of.renamePasskey('a/b', 'x'), 'PATCH /users/me/passkeys/a%2Fb', { name: 'x' }, PASSKEY],
    ['are removed', (of) => of.removePasskey('a-b_c', 'p'), 'DELETE /users/me/passkeys/a-b_c', { password: 'p' }, undefined],
  ])('%s', async (_what, act, request, body, result) => {
    const { one, asked, keys } = await own();
    expect(await act(keys)).toEqual(result);
    expect(asked).toEqual([{ request, body, token: one.session?.accessToken }]);
  });

  it('are registered again if the answer is lost, with the same request', async () => {
    const { one, asked, authenticator, keys } = await own('modern', [problem(503, 'unavailable')]);
    expect(await added(keys, authenticator)).toEqual(PASSKEY);
    const token = one.session?.accessToken;
    expect(asked.slice(1)).toEqual([{ ...REGISTRATION, token }, { ...REGISTRATION, token }]);
  });

  it('are not registered again if the service refuses', async () => {
    const { asked, authenticator, keys } = await own('modern', [problem(409, 'passkey_exists')]);
    expect(await refusal(added(keys, authenticator))).toMatchObject({ code: 'passkey_exists', status: 409 });
    expect(asked).toHaveLength(2);
  });

  it('are not registered if the device has one, or the user does not want to', async () => {
    for (const [name, code] of [['InvalidStateError', 'passkey_exists'], ['NotAllowedError', 'cancelled']] as const) {
      const { asked, authenticator, keys } = await own();
      const adding = refusal(keys.addPasskey({ password: 'p', name: 'My phone' }));
      await authenticator.isAsked();
      authenticator.refuse(name);
      expect(await adding).toMatchObject({ code });
      expect(asked).toHaveLength(1);
    }
  });

  it('end what still waits for a passkey, and stop at a signal', async () => {
    const { one, authenticator, keys } = await own();
    const suggested = refusal(keys.signInWithPasskey({ conditional: true }));
    await authenticator.isAsked();
    const stop = new AbortController();
    const adding = refusal(keys.addPasskey({ password: 'p', name: 'x', signal: stop.signal }));
    expect(await suggested).toMatchObject({ code: 'cancelled' });
    await authenticator.isAsked(2);
    stop.abort();
    expect(await adding).toMatchObject({ code: 'cancelled' });
    expect(one.status).toBe('signed_in');
  });
});

describe('the contract', () => {
  it.each<[string, object]>([
    ['POST /passkeys/options', {}],
    ['POST /passkeys/options', { challenge: 'c' }],
    ['POST /passkeys/authenticate', { ceremony: 'c', credential: {}, challenge: 'c', device: 'd', mode: 'cookie' }],
    ['POST /users/me/passkeys/options', { password: 'p' }],
    ['POST /users/me/passkeys', { ceremony: 'c', credential: {}, name: 'n' }],
    ['PATCH /users/me/passkeys/{id}', { name: 'n' }],
    ['DELETE /users/me/passkeys/{id}', { password: 'p' }],
  ])('has what is sent in %s %o', (request, body) => {
    const { fields, required } = contractOf(...(request.split(' ') as [string, string]));
    expect(fields).toEqual(expect.arrayContaining(Object.keys(body)));
    expect(Object.keys(body)).toEqual(expect.arrayContaining(required));
  });

  it('has the members that are read', () => {
    for (const path of ['/passkeys/options', '/users/me/passkeys/options']) {
      expect(exampleOf(path, 'post')).toEqual({
        ceremony: expect.stringMatching(/^pk1_/), expires_in: expect.any(Number),
        options: expect.objectContaining({ challenge: expect.any(String) }),
      });
    }
    for (const { last_used_at: _, ...entry } of exampleOf('/users/me/passkeys', 'get').passkeys) {
      expect(Object.keys(entry).sort()).toEqual(Object.keys(ENTRY).sort());
    }
  });
});

describe('a session that is bound to a key', () => {
  it.each(['alone', 'in place of a code'])('begins with proofs of that key in every step (%s)', async (how) => {
    vi.useRealTimers();
    const authenticator = new Authenticator();
    const bound = ending(await BoundService.start());
    const one = ending(createClient({ baseUrl: bound.url, mode: 'token', dpop: dpop(), channel: null }));
    let signing = () => passkeys(one).signInWithPasskey();
    if (how !== 'alone') {
      bound.rules.secondFactor = 'required';
      const error = await refusal(one.signIn({ name: 'ada', password: 'right' }));
      if (!isSecondFactorRequired(error)) throw error;
      signing = () => passkeys(one).completeWithPasskey({ name: 'ada', challenge: error.challenge });
    }
    const session = signing();
    await authenticator.isAsked();
    // Much later.
    bound.proofs.ahead = 61_000;
    authenticator.choose();
    expect((await session).claims.cnf).toEqual({ jkt: expect.stringMatching(/^[\w-]{43}$/) });
    expect(bound.log.every((line) => / (proof|nonce)$/.test(line))).toBe(true);
    expect(bound.log.slice(-2)).toEqual(Array(2).fill('POST /passkeys/authenticate nonce'));
    expect((await one.fetch('/users')).status).toBe(200);
  });
});
