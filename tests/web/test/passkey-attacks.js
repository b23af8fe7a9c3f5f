// What the service refuses of passkeys: what was sent before, comes from elsewhere or is somebody else's.

import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, describe, test } from 'node:test';

import { App } from './authenticator-app.js';
import { Authenticator } from './virtual-authenticator.js';
import { newcomer, stack, until, visit } from './world.js';

const local = (url) => url.replace('127.0.0.1', 'localhost');

/** Sends a request until hashing on a busy machine is done in time. */
async function post(path, body, headers = {}) {
  for (let tries = 5; ; tries -= 1) {
    const response = await fetch(stack.api + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const answer = response.status === 204 ? {} : await response.json();
    if (response.status !== 503 || !tries) return { status: response.status, ...answer };
  }
}

const bearer = ({ access_token: token }) => ({ authorization: `Bearer ${token}` });
const outcome = ({ status, code = 'ok' }) => `${status} ${code}`;

/** Somebody with an account, who is signed in with a password. */
async function account() {
  const user = newcomer();
  await post('/users', user);
  let code;
  await until(async () => {
    const { messages } = await (await fetch(`${stack.page}/mail.json`)).json();
    code = messages.find(({ to }) => to === user.email)?.text.match(/^\d{6}$/m)[0];
    return code;
  }, 'the message', 30);
  await post('/users/confirm-email', { email: user.email, code });
  return { ...user, ...(await post('/authenticate', { name: user.name, password: user.password })) };
}

/** A tab of this origin without scripts, and an authenticator that is always touched. */
async function tab(url = `${local(stack.page)}/style.css`, options = undefined) {
  const page = await visit();
  await page.goto(url);
  const device = await Authenticator.of(page, options);
  await device.touched();
  return { page, device };
}

/** What the browser answers to options, as JSON; or the name of its error. */
const ask = (page, method, options) =>
  page.evaluate(
    async ([how, given]) => {
      const parse = how === 'create' ? 'parseCreationOptionsFromJSON' : 'parseRequestOptionsFromJSON';
      const publicKey = PublicKeyCredential[parse](given);
      return navigator.credentials[how]({ publicKey }).then((made) => made.toJSON(), (error) => error.name);
    },
    [method, options],
  );

/** Adds a passkey to an account. */
async function add({ page }, user, change = (options) => options) {
  const { ceremony, options } = await post('/users/me/passkeys/options', { password: user.password }, bearer(user));
  const credential = await ask(page, 'create', change(options));
  return post('/users/me/passkeys', { ceremony, credential, name: 'My phone' }, bearer(user));
}

/** An answer to the service's options, which nobody has sent yet. */
async function answer({ page }, challenge, change = (options) => options) {
  const { ceremony, options, ...refused } = await post('/passkeys/options', { challenge });
  assert.ok(ceremony, outcome(refused));
  return { ceremony, credential: await ask(page, 'get', change(options)), challenge };
}

const send = (body) => post('/passkeys/authenticate', body);

/** Somebody with a passkey, and the tab that has it. */
async function owner() {
  const [own, user] = [await tab(), await account()];
  assert.equal(outcome(await add(own, user)), '201 ok');
  return { ...own, user };
}

const REFUSED = '401 invalid_passkey';
const AGAIN = /^401 (challenge_spent|invalid_passkey)$/;
const unverified = (options) => ({ ...options, userVerification: 'discouraged' });

test('an answer is good for one session, also if it is sent several times at once', async () => {
  const one = await owner();
  const body = await answer(one);
  assert.equal(outcome(await send(body)), '200 ok');
  // Which of the two it is depends on whether the authenticator counts.
  assert.match(outcome(await send(body)), AGAIN);
  const again = await answer(one);
  const [first, ...others] = (await Promise.all([again, again, again].map(send))).map(outcome).sort();
  assert.equal(first, '200 ok');
  for (const other of others) assert.match(other, AGAIN);
  assert.equal(outcome(await send(await answer(one))), '200 ok');
});

test('an answer is not good for the options of another sign-in', async () => {
  const one = await owner();
  const { credential } = await answer(one);
  const { ceremony } = await post('/passkeys/options', {});
  assert.equal(outcome(await send({ ceremony, credential })), REFUSED);
  assert.equal(outcome(await send({ ceremony: 'pk1_AAAA', credential })), '401 invalid_challenge');
});

test('an answer that was changed is refused', async () => {
  const one = await owner();
  const { user } = await owner();
  const { sub } = JSON.parse(Buffer.from(user.access_token.split('.')[1], 'base64url'));
  const other = Buffer.from(sub.replaceAll('-', ''), 'hex').toString('base64url');
  const flip = (text) => `${text.slice(0, -6)}${text.at(-6) === 'A' ? 'B' : 'A'}${text.slice(-5)}`;
  for (const change of [
    ({ userHandle, ...response }) => ({ ...response, userHandle: other }),
    ({ signature, ...response }) => ({ ...response, signature: flip(signature) }),
    ({ authenticatorData, ...response }) => ({ ...response, authenticatorData: flip(authenticatorData) }),
    ({ clientDataJSON, ...response }) => {
      const data = { ...JSON.parse(Buffer.from(clientDataJSON, 'base64url')), crossOrigin: true };
      return { ...response, clientDataJSON: Buffer.from(JSON.stringify(data)).toString('base64url') };
    },
  ]) {
    const { credential, ...body } = await answer(one);
    const { response, ...rest } = credential;
    assert.equal(outcome(await send({ ...body, credential: { ...rest, response: change(response) } })), REFUSED, String(change));
  }
  assert.equal(outcome(await send(await answer(one))), '200 ok');
});

test('a removed passkey is refused, and so is one that was never registered', async () => {
  const one = await owner();
  const response = await fetch(`${stack.api}/users/me/passkeys`, { headers: bearer(one.user) });
  const [{ id }] = (await response.json()).passkeys;
  const body = await answer(one);
  const removed = await fetch(`${stack.api}/users/me/passkeys/${id}`, {
    method: 'DELETE',
    headers: { 'content-type': 'application/json', ...bearer(one.user) },
    body: JSON.stringify({ password: one.user.password }),
  });
  assert.equal(removed.status, 204);
  assert.equal(outcome(await send(body)), REFUSED);
  assert.equal(outcome(await send(await answer(one))), REFUSED);

  const [other, user] = [await tab(), await account()];
  const { options } = await post('/users/me/passkeys/options', { password: user.password }, bearer(user));
  await ask(other.page, 'create', options);
  assert.equal(outcome(await send(await answer(other))), REFUSED);
});

test('a new passkey is for the user who asked for it, and adding it again changes nothing', async () => {
  const [own, user, other] = [await tab(), await account(), await account()];
  const { ceremony, options } = await post('/users/me/passkeys/options', { password: user.password }, bearer(user));
  const body = { ceremony, credential: await ask(own.page, 'create', options), name: 'My phone' };
  assert.notEqual((await post('/users/me/passkeys', body, bearer(other))).status, 201);
  const first = await post('/users/me/passkeys', body, bearer(user));
  assert.equal(outcome(first), '201 ok');
  assert.deepEqual(await post('/users/me/passkeys', body, bearer(user)), first);
  const again = await post('/users/me/passkeys/options', { password: user.password }, bearer(user));
  assert.equal(await ask(own.page, 'create', again.options), 'InvalidStateError');
});

test('nobody completes the sign-in of somebody else', async () => {
  const [one, other] = [await owner(), await owner()];
  const challenge = await challenged(one.user);
  const { ceremony, options } = await post('/passkeys/options', { challenge });
  // The browser would not use a passkey that is not among those of the options.
  const credential = await ask(other.page, 'get', { ...options, allowCredentials: [] });
  assert.equal(outcome(await send({ ceremony, credential, challenge })), REFUSED);
  // Nor does an answer count that was made for no challenge, or for another one.
  const alone = await answer(other);
  assert.notEqual((await send({ ...alone, challenge })).status, 200);
  const right = await answer(one, challenge);
  assert.equal(outcome(await send(right)), '200 ok');
  assert.notEqual((await send(right)).status, 200);
  assert.equal(outcome(await post('/passkeys/options', { challenge })), '401 challenge_spent');
});

/** Switches a second factor on, and signs in with the password. */
async function challenged({ name, password, ...session }) {
  const { secret } = await post('/users/me/totp', { password }, bearer(session));
  const code = await new App(secret).code();
  assert.equal(outcome(await post('/users/me/totp/confirm', { code }, bearer(session))), '200 ok');
  const { code: refusal, challenge } = await post('/authenticate', { name, password });
  assert.equal(refusal, 'second_factor_required');
  return challenge;
}

test('an authenticator that does not make sure who touches it is refused, by the browser and by the service', async () => {
  const one = await owner();
  await one.device.verifies(false);
  assert.equal((await answer(one)).credential, 'NotAllowedError');
  const body = await answer(one, undefined, unverified);
  assert.equal(body.credential.type, 'public-key');
  assert.equal(outcome(await send(body)), REFUSED);

  // A security key without a PIN. Browsers would not keep a discoverable passkey on it.
  const key = { transport: 'usb', hasUserVerification: false, isUserVerified: false };
  const [other, user] = [await tab(undefined, key), await account()];
  const weaker = { authenticatorSelection: { residentKey: 'discouraged', userVerification: 'discouraged' } };
  const refused = await add(other, user, ({ extensions: _, ...options }) => ({ ...options, ...weaker }));
  assert.equal(outcome(refused), '403 invalid_passkey');
});

test('a counter that goes back is refused, and operators hear of it', async () => {
  const one = await owner();
  const [early] = await one.device.credentials();
  for (let times = 3; times; times -= 1) assert.equal(outcome(await send(await answer(one))), '200 ok');
  const [late] = await one.device.credentials();
  assert.ok(late.signCount > early.signCount);
  await one.device.put(early);
  assert.equal(outcome(await send(await answer(one))), REFUSED);
  const { sub } = JSON.parse(Buffer.from(one.user.access_token.split('.')[1], 'base64url'));
  await until(async () => (await logged('passkey_cloned')).some((line) => line.includes(sub)), 'the event');
  // The owner's own counter is ahead.
  await one.device.put(late);
  assert.equal(outcome(await send(await answer(one))), '200 ok');
});

/** The lines of the functions' logs that contain a text. */
async function logged(text) {
  const files = await readdir(stack.logs, { recursive: true, withFileTypes: true });
  const all = files.filter((file) => file.isFile()).map(({ parentPath, path, name }) => readFile(`${parentPath ?? path}/${name}`, 'utf8'));
  return (await Promise.all(all)).join('\n').split('\n').filter((line) => line.includes(text));
}

describe('a page of another origin of this machine', () => {
  let server;

  before(async () => {
    server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html');
      response.end('<!doctype html><html lang="en"><title>Another application</title>');
    });
    await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  });

  after(() => server?.close());

  test('has the passkeys of localhost, and the service refuses what it makes of them', async () => {
    const one = await owner();
    const other = await tab(`http://localhost:${server.address().port}/`);
    const [credential] = await one.device.credentials();
    await other.device.put(credential);
    const body = await answer(other);
    assert.equal(body.credential.type, 'public-key');
    assert.equal(outcome(await send(body)), REFUSED);
    assert.equal(outcome(await add(await tab(`http://localhost:${server.address().port}/`), await account())), '403 invalid_passkey');
  });
});
