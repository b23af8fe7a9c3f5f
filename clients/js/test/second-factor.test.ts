// Sign-ins that need a code of an authenticator app, and setting one up.

import { describe, expect, it, vi } from 'vitest';

import { dpop } from '../src/dpop.js';
import { createClient, RatchetError, type Client } from '../src/index.js';
import { isSecondFactorRequired, secondFactor, type Proof, type SecondFactor } from '../src/second-factor.js';
import { BoundService } from './bound-service.js';
import { contractOf, exampleOf } from './contract.js';
import { ENROLLMENT, problem, RECOVERY_CODES } from './service.js';
import {
  afterPassing, client, ending, generations, named, onlyPass, pass, report, service, shelf, signedIn,
  signedInTab, soon, tab,
} from './world.js';

const ADA = { name: 'ada', password: 'right' };

/** Signs in with a password, and returns the challenge for the code. */
async function challenged(one: Client, name = 'ada'): Promise<string> {
  service.secondFactor ??= 'required';
  const error = await one.signIn({ ...ADA, name }).catch((refusal: unknown) => refusal);
  if (!isSecondFactorRequired(error)) throw error;
  return error.challenge;
}

/** Signs in with a password and a code. */
async function signIn(one: Client, proof: Proof = { code: '123456' }, name = 'ada') {
  return secondFactor(one).signIn({ name, challenge: await challenged(one, name), ...proof });
}

/** What was sent. */
function recorded() {
  const sent: { path: string; headers: Headers; credentials: string; body: Record<string, unknown> }[] = [];
  const request: typeof fetch = async (input, init) => {
    const asked = new Request(input, init);
    const { headers, credentials } = asked;
    const body = await asked.clone().json();
    sent.push({ path: new URL(asked.url).pathname, headers, credentials, body });
    return service.fetch(asked);
  };
  return { sent, fetch: request };
}

describe('a sign-in that needs a second factor', () => {
  it.each(['required', 'enrollment_required'] as const)('is told from one with a wrong password (%s)', async (what) => {
    service.secondFactor = what;
    const one = client();
    const heard = report(one);
    const [needed, wrong] = await Promise.all(
      ['right', 'wrong'].map((password) => one.signIn({ name: 'ada', password }).catch((error: unknown) => error)),
    );
    expect(isSecondFactorRequired(needed)).toBe(true);
    expect(needed).toMatchObject({ code: `second_factor_${what}`, challenge: 'sf1_0', status: 401 });
    expect(wrong).toMatchObject({ code: 'invalid_credentials' });
    for (const other of [wrong, new RatchetError(), new Error('second_factor_required'), { code: 'second_factor_required' }, null]) {
      expect(isSecondFactorRequired(other)).toBe(false);
    }
    expect(one.session).toBeNull();
    expect(heard).toEqual([]);
  });

  it('leaves the session alone that there is', async () => {
    const storage = shelf();
    const one = await signedIn({ storage }, 'grace');
    await challenged(one);
    await expect(secondFactor(one).signIn({ name: 'ada', challenge: 'sf1_0', code: '000000' })).rejects.toThrow();
    expect(one.session?.user.name).toBe('grace');
    expect(generations(storage.kept)).toEqual([0]);
  });
});

describe('a code', () => {
  it.each<[string, Proof]>([
    ['of the app', { code: '123456' }],
    ['for recovery', { recoveryCode: 'recovery' }],
  ])('%s completes the sign-in, and all is as after any other', async (_which, proof) => {
    const storage = shelf();
    const one = client({ storage });
    const heard = report(one);
    const { session, ...more } = await signIn(one, proof);
    expect(more).toEqual({});
    expect(one.session).toBe(session);
    expect(one.status).toBe('signed_in');
    expect(heard).toEqual(['signed_in ada access-0']);
    expect(generations(storage.kept)).toEqual([0]);
    expect((await one.fetch('/users')).status).toBe(200);
    await pass(201_000);
    expect(named(one.session)).toBe('access-1');
    expect(generations(storage.kept)).toEqual([0, 1]);
    await one.signOut();
    expect(service.requests).toEqual(['/authenticate', '/authenticate/second-factor', '/users', '/refresh', '/logout']);
  });

  it.each(['cookie', 'token'] as const)('is sent as a password is, and without it (%s)', async (mode) => {
    const { sent, fetch } = recorded();
    await signIn(client({ mode, fetch }));
    const [first, second] = sent;
    expect(second?.body).toEqual({ challenge: 'sf1_0', code: '123456', mode });
    expect(second?.credentials).toBe(first?.credentials);
    expect([...second!.headers]).toEqual([...first!.headers]);
  });

  it('replaces the session of another user, in every tab', async () => {
    const first = await signedInTab();
    const second = tab();
    await second.resume();
    const heard = report(first);
    await pass(1_000);
    await signIn(second, { code: '123456' }, 'grace');
    await soon(() => expect(heard).toEqual(['user_changed grace access-0, before ada']));
    expect(first.session).toEqual(second.session);
  });

  it('comes in its turn, after a refresh that has begun', async () => {
    const one = await signedIn();
    const challenge = await challenged(one);
    const heard = report(one);
    await Promise.all([one.refresh(), secondFactor(one).signIn({ name: 'ada', challenge, code: '123456' })]);
    expect(heard).toEqual(['refreshed ada access-1', 'signed_in ada access-0']);
  });

  it('makes the device known, under the name that was typed', async () => {
    const devices = new Map<string, string>();
    const store = {
      getItem: (key: string) => devices.get(key) ?? null,
      setItem: (key: string, token: string) => void devices.set(key, token),
      removeItem: (key: string) => void devices.delete(key),
    };
    await signIn(client({ devices: store }), undefined, 'Ada');
    await challenged(client({ devices: store }), 'ada');
    expect(service.devices).toEqual([undefined, 'dt1_1']);
  });

  it('that is wrong rejects, is sent once, and another one may follow', async () => {
    const one = client();
    const challenge = await challenged(one);
    const factor = secondFactor(one);
    service.requests = [];
    const refusal = await factor.signIn({ name: 'ada', challenge, code: '000000' }).catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(RatchetError);
    expect(refusal).toMatchObject({ status: 401 });
    expect(isSecondFactorRequired(refusal)).toBe(false);
    expect(one.session).toBeNull();
    await factor.signIn({ name: 'ada', challenge, code: '123456' });
    expect(service.requests).toEqual(['/authenticate/second-factor', '/authenticate/second-factor']);
    await expect(factor.signIn({ name: 'ada', challenge, code: '123456' })).rejects.toMatchObject({ code: 'challenge_spent' });
  });

  it.each(['lost', 503, 'HTML'] as const)('is not repeated by itself after a fault (%s)', async (fault) => {
    const one = client();
    const challenge = await challenged(one);
    service.requests = [];
    service.faults = [fault];
    const attempt = secondFactor(one).signIn({ name: 'ada', challenge, code: '123456' });
    await expect(afterPassing(60_000, attempt)).rejects.toMatchObject({ code: 'unavailable' });
    expect(service.requests).toEqual(['/authenticate/second-factor']);
    expect(one.status).toBe('unknown');
  });
});

describe('a user who has to set up a second factor', () => {
  it('does so during the sign-in, and sees the recovery codes', async () => {
    service.secondFactor = 'enrollment_required';
    const one = client();
    const factor = secondFactor(one);
    const challenge = await challenged(one);
    const { secret, uri, qrCode } = await factor.enroll({ challenge });
    expect([secret, uri]).toEqual([ENROLLMENT.secret, ENROLLMENT.uri]);
    expect(await (await fetch(qrCode)).text()).toBe(ENROLLMENT.qr_svg);
    expect(new URL(qrCode).protocol).toBe('data:');
    const { session, recoveryCodes } = await factor.signIn({ name: 'ada', challenge, code: '123456' });
    expect(recoveryCodes).toEqual(RECOVERY_CODES);
    expect(one.session).toBe(session);
  });

  it('leaves no secret in a storage, and none with other tabs', async () => {
    service.secondFactor = 'enrollment_required';
    const storage = shelf();
    const said: unknown[] = [];
    const devices = new Map<string, string>();
    const one = client({
      storage,
      channel: ending({ postMessage: (message: unknown) => said.push(message), onmessage: null, close: () => {} }),
      devices: {
        getItem: (key) => devices.get(key) ?? null, setItem: (key, token) => devices.set(key, token), removeItem: () => {},
      },
    });
    const factor = secondFactor(one);
    const challenge = await challenged(one);
    const { secret } = await factor.enroll({ challenge });
    await factor.signIn({ name: 'ada', challenge, code: '123456' });
    const kept = JSON.stringify([storage.kept, said, [...devices], one.session]);
    expect(kept).toContain('access');
    for (const text of [challenge, secret, '123456', ...RECOVERY_CODES]) expect(kept).not.toContain(text);
  });
});

describe('a session that is bound to a key', () => {
  it('begins with proofs of that key in every step', async () => {
    vi.useRealTimers();
    const bound = ending(await BoundService.start());
    bound.rules.secondFactor = 'enrollment_required';
    const one = ending(createClient({ baseUrl: bound.url, mode: 'token', dpop: dpop() }));
    const error = await one.signIn(ADA).catch((refusal: unknown) => refusal);
    if (!isSecondFactorRequired(error)) throw error;
    const factor = secondFactor(one);
    await factor.enroll({ challenge: error.challenge });
    // Much later.
    bound.proofs.ahead = 61_000;
    const { session } = await factor.signIn({ name: 'ada', challenge: error.challenge, code: '123456' });
    expect(session.claims.cnf).toEqual({ jkt: expect.stringMatching(/^[\w-]{43}$/) });
    expect(bound.log).toEqual([
      'POST /authenticate proof', 'POST /authenticate nonce', 'POST /authenticate/second-factor/totp nonce',
      'POST /authenticate/second-factor nonce', 'POST /authenticate/second-factor nonce',
    ]);
    expect((await one.fetch('/users')).status).toBe(200);
    await one.refresh();
  });
});

interface Asked {
  readonly request: string;
  readonly body: unknown;
  readonly token: string | undefined;
}

/** A signed-in user, and the recorded requests. */
async function own(answer = () => Response.json({})) {
  const asked: Asked[] = [];
  const request: typeof fetch = async (input, init) => {
    const sent = new Request(input, init);
    const { pathname } = new URL(sent.url);
    if (!pathname.startsWith('/users/me/totp')) return service.fetch(sent);
    const token = sent.headers.get('authorization')?.replace('Bearer ', '');
    asked.push({ request: `${sent.method} ${pathname}`, body: await sent.json(), token });
    return answer();
  };
  const one = await signedIn({ fetch: request });
  return { one, asked, factor: secondFactor(one) };
}

const BEGUN = () => Response.json(ENROLLMENT);
const CODES = () => Response.json({ recovery_codes: RECOVERY_CODES });
const NOTHING = () => new Response(null, { status: 204 });

const OWN: [string, (of: SecondFactor) => Promise<unknown>, string, object, () => Response, unknown][] = [
  ['begins to set one up', (of) => of.enroll({ password: 'p' }), 'POST /users/me/totp', { password: 'p' }, BEGUN,
    { secret: ENROLLMENT.secret, uri: ENROLLMENT.uri, qrCode: `data:image/svg+xml,${encodeURIComponent(ENROLLMENT.qr_svg)}` }],
  ['switches it on', (of) => of.confirm('123456'), 'POST /users/me/totp/confirm', { code: '123456' }, CODES, RECOVERY_CODES],
  ['replaces the recovery codes', (of) => of.replaceRecoveryCodes({ password: 'p', code: '123456' }),
    'POST /users/me/totp/recovery-codes', { password: 'p', code: '123456' }, CODES, RECOVERY_CODES],
  ['switches it off', (of) => of.disable({ password: 'p', code: '123456' }), 'DELETE /users/me/totp',
    { password: 'p', code: '123456' }, NOTHING, undefined],
  ['switches it off without the app', (of) => of.disable({ password: 'p', recoveryCode: 'recovery' }), 'DELETE /users/me/totp',
    { password: 'p', recovery_code: 'recovery' }, NOTHING, undefined],
];

const SIGN_IN: [string, string, object][] = [
  ['completes a sign-in', 'POST /authenticate/second-factor', { challenge: 'c', code: '1', mode: 'cookie' }],
  ['completes a sign-in for recovery', 'POST /authenticate/second-factor', { challenge: 'c', recovery_code: '1', mode: 'token' }],
  ['sets one up during a sign-in', 'POST /authenticate/second-factor/totp', { challenge: 'c' }],
];

describe('the second factor of a signed-in user', () => {
  it.each(OWN)('%s', async (_what, act, request, body, answer, result) => {
    const { one, asked, factor } = await own(answer);
    expect(await act(factor)).toEqual(result);
    expect(asked).toEqual([{ request, body, token: one.session?.accessToken }]);
    expect(named(one.session)).toBe('access-0');
  });

  it.each([...OWN.map(([what, , request, body]) => [what, request, body] as const), ...SIGN_IN])(
    '%s as the contract says',
    (_what, request, body) => {
      const { fields, required } = contractOf(...(request.split(' ') as [string, string]));
      expect(fields).toEqual(expect.arrayContaining(Object.keys(body)));
      expect(Object.keys(body)).toEqual(expect.arrayContaining(required));
    },
  );

  it.each(['/users/me/totp', '/authenticate/second-factor/totp'])('reads the example of %s', async (path) => {
    const body = exampleOf(path, 'post');
    const { factor } = await own(() => Response.json(body));
    const { secret, uri, qrCode } = await factor.enroll({ password: 'p' });
    expect([secret, uri]).toEqual([body.secret, body.uri]);
    expect(await (await fetch(qrCode)).text()).toBe(body.qr_svg);
  });

  it.each(['/users/me/totp/confirm', '/users/me/totp/recovery-codes'])('reads the example of %s', async (path) => {
    const body = exampleOf(path, 'post');
    const { factor } = await own(() => Response.json(body));
    expect(await factor.confirm('123456')).toEqual(body.recovery_codes);
  });

  it('rejects with what the service refuses, and repeats nothing', async () => {
    for (const answer of [() => problem(403, 'wrong_password'), () => problem(503, 'unavailable', { 'retry-after': '1' })]) {
      const { one, asked, factor } = await own(answer);
      const refusal = await afterPassing(60_000, factor.enroll({ password: 'p' })).catch((error: unknown) => error);
      expect(refusal).toBeInstanceOf(RatchetError);
      expect(asked).toHaveLength(1);
      expect(one.status).toBe('signed_in');
    }
  });
});

describe('an answer that never comes', () => {
  const never = (signals: AbortSignal[]): typeof fetch => (input, init) => {
    const { signal, url } = new Request(input, init);
    if (new URL(url).pathname === '/authenticate') return service.fetch(input, init);
    signals.push(signal);
    return new Promise(() => {});
  };

  it.each<[string, (of: SecondFactor) => Promise<unknown>]>([
    ...OWN.map(([what, act]) => [what, act] as [string, typeof act]),
    ['completes a sign-in', (of) => of.signIn({ name: 'ada', challenge: 'sf1_0', code: '123456' })],
    ['sets one up during a sign-in', (of) => of.enroll({ challenge: 'sf1_0' })],
  ])('is not waited for, and the request is given up (%s)', async (_what, act) => {
    onlyPass();
    const signals: AbortSignal[] = [];
    const one = await signedIn({ fetch: never(signals) });
    await expect(afterPassing(10_100, act(secondFactor(one)))).rejects.toMatchObject({ code: 'unavailable' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(one.status).toBe('signed_in');
  });

  it('is not sent later, once the access token is fresh', async () => {
    onlyPass();
    let sent = 0;
    const one = await signedIn({
      fetch: async (input, init) => {
        const target = new Request(input, init);
        target.signal.throwIfAborted();
        if (target.url.includes('/users/me/totp')) sent += 1;
        return service.fetch(target);
      },
    });
    vi.setSystemTime(Date.now() + 301_000);
    service.retryAfter = 15;
    service.faults = [503];
    await expect(afterPassing(11_000, secondFactor(one).confirm('123456'))).rejects.toMatchObject({ code: 'unavailable' });
    await pass(60_000);
    expect(named(one.session)).toBe('access-1');
    expect(sent).toBe(0);
  });
});
