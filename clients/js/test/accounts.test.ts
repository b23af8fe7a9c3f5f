import { describe, expect, it } from 'vitest';

import { accounts, type Accounts } from '../src/accounts.js';
import { contractOf, exampleOf } from './contract.js';
import { problem } from './service.js';
import { client, named, pass, report, service, signedIn } from './world.js';

interface Asked {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
  readonly token: string | undefined;
}

/** The accounts API, with or without a signed-in user, and its recorded requests and responses. */
async function api({ as, answer }: { as?: string; answer?: () => Response } = {}) {
  const asked: Asked[] = [];
  const request: typeof fetch = async (input, init) => {
    const sent = new Request(input, init);
    const { pathname, search } = new URL(sent.url);
    if (/^\/(authenticate|refresh|logout)$/.test(pathname)) return service.fetch(sent);
    const text = await sent.text();
    asked.push({
      method: sent.method,
      path: pathname + search,
      body: text && JSON.parse(text),
      token: sent.headers.get('authorization')?.replace('Bearer ', ''),
    });
    return answer?.() ?? new Response(null, { status: 204 });
  };
  const one = as ? await signedIn({ fetch: request }, as) : client({ fetch: request });
  return { one, asked, of: accounts(one) };
}

const PUBLIC: [string, (of: Accounts) => Promise<unknown>, string, object][] = [
  ['registers', (of) => of.register({ name: 'ada', email: 'ada@example.com', password: 'p' }), 'POST /users',
    { name: 'ada', email: 'ada@example.com', password: 'p' }],
  ['confirms by code', (of) => of.confirmEmail({ email: 'ada@example.com', code: '123456' }), 'POST /users/confirm-email',
    { email: 'ada@example.com', code: '123456' }],
  ['confirms one registration by code', (of) => of.confirmEmail({ name: 'ada', email: 'ada@example.com', code: '123456' }),
    'POST /users/confirm-email', { name: 'ada', email: 'ada@example.com', code: '123456' }],
  ['sends the confirmation of one registration again', (of) => of.resendConfirmation('ada@example.com', 'ada'),
    'POST /users/confirm-email/resend', { email: 'ada@example.com', name: 'ada' }],
  ['confirms by link', (of) => of.confirmEmail({ token: 'rm1_x' }), 'POST /users/confirm-email', { token: 'rm1_x' }],
  ['sends a confirmation again', (of) => of.resendConfirmation('ada@example.com'), 'POST /users/confirm-email/resend',
    { email: 'ada@example.com' }],
  ['asks for a password reset', (of) => of.requestPasswordReset('ada@example.com'), 'POST /users/password-reset',
    { email: 'ada@example.com' }],
  ['asks for a message that signs in', (of) => of.requestSignInMail('ada@example.com'), 'POST /authenticate/email',
    { email: 'ada@example.com' }],
  ['resets a password', (of) => of.resetPassword({ token: 'rm1_x', password: 'p' }), 'POST /users/password-reset/confirm',
    { token: 'rm1_x', password: 'p' }],
];

const OWN: [string, (of: Accounts) => Promise<unknown>, string, object | ''][] = [
  ['changes the password', (of) => of.changePassword({ current: 'old', new: 'new' }), 'POST /users/me/password',
    { current: 'old', new: 'new', keep_this_session: true }],
  ['changes the address', (of) => of.changeEmail({ email: 'a@example.com', password: 'p' }), 'PATCH /users/me',
    { email: 'a@example.com', password: 'p' }],
  ['deletes the account', (of) => of.deleteAccount('p'), 'DELETE /users/me', { password: 'p' }],
  ['ends a session', (of) => of.sessions.end('an/id'), 'DELETE /users/me/sessions/an%2Fid', ''],
  ['ends the other sessions', (of) => of.sessions.endOthers(), 'DELETE /users/me/sessions?except=current', ''],
  ['ends all sessions', (of) => of.sessions.endAll(), 'DELETE /users/me/sessions', ''],
];

/** A path as openapi.json has it. */
const template = (path: string) => path.replace(/\?.*/, '').replace('an%2Fid', '{id}');

describe('the accounts API', () => {
  it.each(PUBLIC)('%s without a token', async (_what, act, request, body) => {
    const { asked, of } = await api();
    await act(of);
    expect(asked).toEqual([{ method: request.split(' ')[0], path: request.split(' ')[1], body, token: undefined }]);
  });

  it.each(OWN)('%s as the signed-in user', async (_what, act, request, body) => {
    const { one, asked, of } = await api({ as: 'ada' });
    const token = one.session?.accessToken;
    await act(of);
    expect(asked).toEqual([{ method: request.split(' ')[0], path: request.split(' ')[1], body, token }]);
  });

  it.each([...PUBLIC, ...OWN])('%s as the contract says', (_what, _act, request, body) => {
    const [method, path] = request.split(' ') as [string, string];
    const { fields, required } = contractOf(method, template(path));
    expect(fields).toEqual(expect.arrayContaining(Object.keys(body)));
    expect(Object.keys(body)).toEqual(expect.arrayContaining(required));
  });

  it('registers with the token of an administrator who is signed in', async () => {
    const { one, asked, of } = await api({ as: 'ada' });
    await of.register({ name: 'grace', email: 'grace@example.com', password: 'p' });
    expect(asked.map(({ token }) => token)).toEqual([one.session?.accessToken]);
  });

  it('tells all rules that a password misses', async () => {
    const rules = [{ code: 'too_short', detail: 'It must have at least 15 characters.' }];
    const { of } = await api({ answer: () => problem(422, 'password_refused', {}, { rules, detail: 'Choose another.' }) });
    await expect(of.register({ name: 'ada', email: 'a@example.com', password: 'p' })).rejects.toMatchObject({
      name: 'RatchetError', code: 'password_refused', status: 422, rules, detail: 'Choose another.',
    });
  });

  it('rejects with the refusal of what needs a user', async () => {
    const { of } = await api({ as: 'ada', answer: () => problem(403, 'wrong_password') });
    await expect(of.deleteAccount('p')).rejects.toMatchObject({ code: 'wrong_password' });
  });

  it('does not repeat what a password was sent with', async () => {
    const { asked, of } = await api({ answer: () => problem(503, 'unavailable') });
    const refused = of.resetPassword({ token: 'rm1_x', password: 'p' }).catch((error) => error.code);
    await pass(60_000);
    expect(await refused).toBe('unavailable');
    expect(asked).toHaveLength(1);
  });

  it('reads the example of an account', async () => {
    const body = exampleOf('/users/me', 'get');
    const { of } = await api({ as: 'ada', answer: () => Response.json(body) });
    const { email_confirmed: emailConfirmed, pending_email: pendingEmail, second_factor: secondFactor, ...same } = body;
    expect(await of.me()).toEqual({ ...same, emailConfirmed, pendingEmail, secondFactor });
  });

  it('reads the example of a list of sessions', async () => {
    const body = exampleOf('/users/me/sessions', 'get');
    const { of } = await api({ as: 'ada', answer: () => Response.json(body) });
    const [entry] = body.sessions;
    expect(await of.sessions.list()).toEqual([
      {
        id: entry.id, current: entry.current, device: entry.device, userAgent: entry.user_agent, network: entry.network,
        signedInAt: entry.signed_in_at * 1000, refreshedAt: entry.refreshed_at * 1000,
        idleExpiresAt: entry.idle_expires_at * 1000, absoluteExpiresAt: entry.absolute_expires_at * 1000,
      },
    ]);
  });

  it.each<[string, (of: Accounts, sid: string) => Promise<unknown>]>([
    ['ending this session', (of, sid) => of.sessions.end(sid)],
    ['ending all', (of) => of.sessions.endAll()],
    ['changing the password everywhere', (of) => of.changePassword({ current: 'p', new: 'q', keepThisSession: false })],
    ['deleting the account', (of) => of.deleteAccount('p')],
    ['resetting the password', (of) => of.resetPassword({ token: 'rm1_x', password: 'q' })],
  ])('after %s the client is signed out', async (_what, act) => {
    const { one, of } = await api({ as: 'ada' });
    const heard = report(one);
    service.ended = 'revoked';
    await act(of, one.session!.claims.sid);
    expect(heard).toEqual(['signed_out ada revoked']);
  });

  it.each([{ token: 'rm1_x' }, { email: 'ada@example.com', code: '123456', device: 'Laptop' }])(
    'signs in with a message, %o',
    async (proof) => {
      const sent: unknown[] = [];
      const request: typeof fetch = async (input, init) => {
        const { url, method, headers } = new Request(input, init);
        if (!url.endsWith('/authenticate/email/confirm')) return service.fetch(input, init);
        sent.push(JSON.parse(init!.body as string));
        const body = JSON.stringify({ name: 'ada', password: 'right', mode: 'token' });
        return service.fetch(new Request(url.replace('/email/confirm', ''), { method, headers, body }));
      };
      const one = client({ fetch: request });
      const session = await accounts(one).signInWithMail(proof);
      expect(sent).toEqual([{ ...proof, mode: 'token' }]);
      expect(one.session).toBe(session);
      const { fields } = contractOf('POST', '/authenticate/email/confirm');
      expect(fields).toEqual(expect.arrayContaining(Object.keys(sent[0] as object)));
    },
  );

  it('tells that a message needs a second factor, too', async () => {
    const answer = () => problem(401, 'second_factor_required', {}, { challenge: 'sf1_x' });
    const { one, of } = await api({ answer });
    await expect(of.signInWithMail({ token: 'rm1_x' })).rejects.toMatchObject({ challenge: 'sf1_x' });
    expect(one.session).toBeNull();
  });

  it('keeps the session when others end', async () => {
    const { one, of } = await api({ as: 'ada' });
    await of.sessions.endOthers();
    await of.sessions.end('another');
    await of.changePassword({ current: 'p', new: 'q' });
    expect(named(one.session)).toBe('access-0');
  });
});
