// Step-up: the user authenticates again, and every tab has the token that says so.

import { describe, expect, it, vi } from 'vitest';

import { dpop } from '../src/dpop.js';
import { createClient, RatchetError, type Client } from '../src/index.js';
import { requirementOf, stepUp, type StepUpProof } from '../src/step-up.js';
import { BoundService } from './bound-service.js';
import { contractOf, exampleOf } from './contract.js';
import {
  afterPassing, client, ending, generations, named, onlyPass, pass, report, service, shelf, signedIn, signedInTab,
  soon, tab,
} from './world.js';

const CODE = { code: '123456' };

describe('a step-up', () => {
  it.each<[StepUpProof, string[], object]>([
    [{ password: 'right' }, ['pwd'], { password: 'right' }],
    [CODE, ['otp'], CODE],
    [{ recoveryCode: 'recovery' }, ['otp'], { recovery_code: 'recovery' }],
    [{ password: 'right', ...CODE }, ['pwd', 'otp'], { password: 'right', ...CODE }],
  ])('with %o says so in the access token, and changes nothing else', async (proof, amr, body) => {
    const storage = shelf();
    const sent: unknown[] = [];
    const one = await signedIn({
      storage,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        if (request.url.endsWith('/step-up')) sent.push(await request.clone().json());
        return service.fetch(request);
      },
    });
    const heard = report(one);
    await pass(100_000);
    const before = one.session!;
    const session = await stepUp(one, proof);
    expect(one.session).toBe(session);
    expect(session.claims.amr).toEqual(amr);
    expect(session.claims.step_up).toBe(true);
    expect(session.claims.auth_time).toBe(before.claims.auth_time + 100);
    expect(session.refreshToken).toBe(before.refreshToken);
    expect(session.sessionExpiresAt).toBe(before.sessionExpiresAt);
    expect(session.expiresAt).toBeGreaterThan(before.expiresAt);
    expect(heard).toEqual(['refreshed ada access-0']);
    expect(generations(storage.kept)).toEqual([0]);
    expect(sent).toEqual([body]);
    expect(contractOf('POST', '/users/me/step-up').fields).toEqual(expect.arrayContaining(Object.keys(body)));
    // It is refreshed like any other.
    await pass(201_000);
    expect(named(one.session)).toBe('access-1');
    expect(one.session?.claims.amr).toEqual(amr);
    expect(one.session?.claims.step_up).toBeUndefined();
  });

  it('is shared with the other tabs', async () => {
    const [first, second] = [await signedInTab({ mode: 'cookie' }), tab({ mode: 'cookie' })];
    await second.resume();
    const heard = report(second);
    const session = await stepUp(first, CODE);
    await soon(() => expect(second.session).toEqual(session));
    expect(heard).toEqual(['refreshed ada access-0']);
    await second.refresh();
    await soon(() => expect(first.session).toEqual(second.session));
    expect(first.session?.claims.amr).toEqual(['otp']);
  });

  it('rejects with what the service refuses, and repeats nothing', async () => {
    const one = await signedIn();
    const before = one.session;
    await expect(stepUp(one, { password: 'wrong' })).rejects.toMatchObject({ code: 'wrong_password', status: 403 });
    await expect(stepUp(one, { code: '000000' })).rejects.toMatchObject({ code: 'invalid_code', status: 403 });
    service.faults = [503];
    await expect(stepUp(one, CODE)).rejects.toMatchObject({ code: 'unavailable', retryAfter: 1 });
    expect(one.session).toBe(before);
    expect(service.requests.filter((path) => path === '/users/me/step-up')).toHaveLength(3);
  });

  it('whose answer is lost is in the next refresh', async () => {
    const one = await signedIn();
    service.faults = ['lost'];
    await expect(stepUp(one, CODE)).rejects.toBeInstanceOf(RatchetError);
    expect(one.session?.claims.amr).toEqual(['pwd']);
    await one.refresh();
    expect(one.session?.claims.amr).toEqual(['otp']);
  });

  it('refreshes an expired access token first', async () => {
    onlyPass();
    const one = await signedIn();
    vi.setSystemTime(Date.now() + 301_000);
    await afterPassing(1_000, stepUp(one, CODE));
    expect(one.session?.claims).toMatchObject({ amr: ['otp'], jti: 'access-1' });
  });

  it('of nobody is refused', async () => {
    await expect(stepUp(client(), CODE)).rejects.toMatchObject({ code: 'missing_access_token' });
  });

  /** A client whose step-ups are answered only once they may be. */
  async function held(options: object = {}) {
    let arrive = () => {};
    const mayArrive = new Promise<void>((resolve) => (arrive = resolve));
    const one = await signedIn({
      ...options,
      fetch: async (input, init) => {
        const request = new Request(input, init);
        const answer = await service.fetch(request);
        if (request.url.endsWith('/step-up')) await mayArrive;
        return answer;
      },
    });
    const steppingUp = stepUp(one, CODE).catch((error: unknown) => error);
    await soon(() => expect(service.latest.steppedUp).toBeDefined());
    return { one, arrive, steppingUp };
  }

  it.each<[string, (one: Client) => Promise<unknown>, string]>([
    ['signed out', (one) => one.signOut(), 'signed_out'],
    ['signed in as another', (one) => one.signIn({ name: 'grace', password: 'right' }), 'user_changed'],
  ])('comes too late for a user who has %s meanwhile', async (_what, act, code) => {
    const { one, arrive, steppingUp } = await held();
    await act(one);
    const known = one.session;
    arrive();
    expect(await steppingUp).toMatchObject({ code });
    expect(one.session).toBe(known);
  });

  it('does not write its refresh token over one that another program has rotated', async () => {
    const storage = shelf();
    const { one, arrive, steppingUp } = await held({ storage });
    await client({ storage }).refresh();
    arrive();
    expect(await steppingUp).toBe(one.session);
    expect(generations(storage.kept)).toEqual([0, 1]);
    // The next refresh begins with the newest.
    await one.refresh();
    expect(generations(service.presented)).toEqual([0, 1]);
  });

  it('of a bound session has its proof', async () => {
    vi.useRealTimers();
    const bound = ending(await BoundService.start());
    const one = ending(createClient({ baseUrl: bound.url, mode: 'token', dpop: dpop() }));
    await one.signIn({ name: 'ada', password: 'right' });
    const { claims } = await stepUp(one, CODE);
    expect(claims.cnf).toEqual({ jkt: expect.stringMatching(/^[\w-]{43}$/) });
    expect(claims.amr).toEqual(['otp']);
    expect((await one.fetch('/users')).status).toBe(200);
  });

  it('reads the example of the contract', () => {
    const { expires_in: life, refresh_after: refreshAfter } = exampleOf('/users/me/step-up', 'post');
    expect([life, refreshAfter]).toEqual([expect.any(Number), expect.any(Number)]);
  });

  it('that is not answered is not waited for', async () => {
    onlyPass();
    const signals: AbortSignal[] = [];
    const one = await signedIn({
      fetch: (input, init) => {
        const request = new Request(input, init);
        if (!request.url.endsWith('/step-up')) return service.fetch(request);
        signals.push(request.signal);
        return new Promise(() => {});
      },
    });
    await expect(afterPassing(10_100, stepUp(one, CODE))).rejects.toMatchObject({ code: 'unavailable' });
    expect(signals.map(({ aborted }) => aborted)).toEqual([true]);
    expect(one.status).toBe('signed_in');
  });
});

describe('what a refusal requires', () => {
  const refusal = (challenge: string, status = 401) => new Response(null, { status, headers: { 'www-authenticate': challenge } });
  const INSUFFICIENT = 'error="insufficient_user_authentication"';

  it.each([
    [`Bearer ${INSUFFICIENT}`, {}],
    [`Bearer realm="x", ${INSUFFICIENT}, max_age="300"`, { maxAge: 300 }],
    [`DPoP ${INSUFFICIENT}, max_age=0, amr_values="otp hwk", algs="ES256"`, { maxAge: 0, amr: [['otp'], ['hwk']] }],
    [`Bearer ${INSUFFICIENT}, amr_values="hwk pwd+otp"`, { amr: [['hwk'], ['pwd', 'otp']] }],
  ])('is in the challenge %s', (challenge, requirement) => {
    expect(requirementOf(refusal(challenge))).toEqual(requirement);
  });

  it('is nothing of any other answer', () => {
    expect(requirementOf(new Response())).toBeNull();
    expect(requirementOf(refusal('Bearer error="invalid_token", max_age="1"'))).toBeNull();
    expect(requirementOf(refusal(`Bearer ${INSUFFICIENT}`, 403))).toBeNull();
  });
});
