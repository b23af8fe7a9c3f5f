// What a person sees, in a real browser against the real stack.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sleep } from './stack.js';
import {
  accessible, answer, answered, generation, LIFE, open, refreshes, screenshot, signIn, status, submit, until, visit,
  WINDOW,
} from './world.js';

for (const mode of ['cookie', 'token']) {
  test(`sign in, see users, and stay in when the access token expires (${mode})`, async () => {
    const page = await visit();
    await signIn(page, mode);
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await answered(page, 'GET /users');
    assert.match(await answer(page), /"ada"/);
    const before = refreshes(page);
    await until(() => refreshes(page) > before, 'a refresh before the token expires', 60);
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await until(() => page.proxy.seen.filter((request) => request === 'GET /users').length === 2, 'users again');
    await answered(page, 'GET /users');
    assert.deepEqual(page.errors, []);
  });
}

test('the expired token is answered with its header, and the page stays signed in', async () => {
  const page = await visit();
  await signIn(page, 'cookie');
  await page.getByRole('button', { name: 'GET /users with an expired token' }).click();
  await page.getByText('IS-TOKEN-EXPIRED: true').waitFor();
  assert.match(await answer(page), /\n401\n/);
  assert.equal(await page.locator('#session').isVisible(), true);
});

test('an expired access token is refreshed and the request repeated, unseen', async () => {
  const page = await visit({ ownClock: true });
  await signIn(page, 'token');
  // A tab that sleeps: its timers do not run, and its clock is behind.
  await page.clock.pauseAt(Date.now() + 2_000);
  const before = refreshes(page);
  await sleep(LIFE * 1000 + 500);
  assert.equal(refreshes(page), before);
  await page.getByRole('button', { name: 'GET /users', exact: true }).click();
  await answered(page, 'GET /users');
  const expired = page.proxy.seen.filter((request) => request === 'GET /users').length;
  assert.equal(expired, 2, 'the expired request and its repetition');
  assert.equal(refreshes(page), before + 1);
});

for (const [means, mode, count] of [
  ['Web Locks', 'token', 3],
  ['Web Locks', 'cookie', 3],
  ['leases over a channel', 'token', 2],
  ['leases over a channel', 'cookie', 2],
]) {
  test(`two tabs whose tokens expire at the same moment refresh once (${means}, ${mode})`, async () => {
    const without = () => Object.defineProperty(navigator, 'locks', { value: undefined });
    const first = await visit(means === 'Web Locks' ? {} : { init: without });
    assert.equal(await first.evaluate(() => navigator.locks !== undefined), means === 'Web Locks');
    await signIn(first, mode);
    const second = await open(first.visitor);
    await status(second, /Signed in/);
    // In cookie mode a tab counts the tokens that it has seen, so it is the growth that is compared.
    const seen = async () => [await generation(first), await generation(second), refreshes(first)];
    const before = await seen();
    await until(async () => (await generation(first)) >= before[0] + count, 'some generations', 60);
    await sleep(500);
    // The tab that refreshed shows it first; between two refreshes both show the same. One request too
    // many would stay one too many.
    const alike = async () => {
      const now = await seen();
      const [grown, grownInSecond, requests] = now.map((number, at) => number - before[at]);
      return requests === grown && grownInSecond === grown && (mode === 'cookie' || now[0] === now[1]);
    };
    await until(alike, 'one request for each generation, and both tabs have seen it', 60);
  });
}

test('an answer that is cut off logs nobody out', async () => {
  const cuts = [['token', 0], ['token', 40], ['cookie', 0], ['cookie', 700]];
  const pages = [];
  for (const [mode, bytes] of cuts) {
    const page = await visit();
    await signIn(page, mode);
    const before = refreshes(page);
    page.proxy.cut('/refresh', 2, bytes);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await until(() => refreshes(page) >= before + 3, `two cut answers and a whole one (${mode}, ${bytes} bytes)`);
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await answered(page, 'GET /users');
    await status(page, /Signed in/);
    pages.push(page);
  }
  // Past the retry window: had a client kept an old token, it would be out by now.
  await sleep((WINDOW + 1) * 1000);
  for (const page of pages) await status(page, /Signed in/);
});

test('a stolen token that is presented when it is old ends the session, and the page says why', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await page.getByRole('button', { name: 'Steal the live token' }).click();
  await page.getByText('Stolen', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.locator('#tokens [data-state="old"] .stolen').waitFor({ timeout: (WINDOW + 20) * 1000 });
  // Without the list of sessions, which has those of all tests.
  await screenshot(page, 'demonstration', { fullPage: true, clip: { x: 0, y: 0, width: 1280, height: 925 } });
  await page.getByRole('button', { name: 'The thief presents it' }).click();
  await status(page, /an old refresh token was presented.*Thief and owner are both out/);
  assert.match(await answer(page), /reuse_detected/);
  assert.equal(await page.locator('#session').isVisible(), false);
  assert.equal(await page.locator('#tokens [data-state="live"]').count(), 0);
  await screenshot(page, 'reuse-detected', { fullPage: true });
});

test('cookie mode survives a reload, also without another tab', async () => {
  const page = await visit();
  await signIn(page, 'cookie');
  await page.reload();
  await status(page, /Signed in/);
  await page.getByRole('button', { name: 'Sign out' }).click();
  await status(page, /signed out/);
  await page.reload();
  await status(page, /not signed in/);
  assert.deepEqual(await page.context().cookies(), []);
});

test('signing out in one tab signs the other one out', async () => {
  const first = await visit();
  await signIn(first, 'cookie');
  const second = await open(first.visitor);
  await status(second, /Signed in/);
  await first.getByRole('button', { name: 'Sign out' }).click();
  await status(second, /signed out/);
});

test('other sessions are listed and ended', async () => {
  const [phone, stranger] = [await visit(), await visit()];
  await phone.getByLabel('Device').fill('A phone');
  await signIn(phone, 'cookie');
  await signIn(stranger, 'cookie');
  const page = await visit();
  await page.getByLabel('Device').fill('<img src=x onerror=alert(1)>');
  await signIn(page, 'cookie');
  await page.getByRole('button', { name: 'List' }).click();
  await page.getByText('(this one)').waitFor();
  assert.equal(await page.locator('#session-list img').count(), 0, 'a label is text');
  const end = page.getByRole('button', { name: 'End A phone' });
  const refused = { status: 503, headers: { 'access-control-allow-origin': '*' } };
  for (const [fail, said] of [
    [(route) => route.abort(), /cannot be reached/],
    [(route) => route.fulfill(refused), /the service answered 503/],
  ]) {
    await page.route('**/users/me/sessions/*', fail, { times: 1 });
    await end.first().press('Enter');
    await status(page, said);
  }
  // One, unless a sign-in was answered too late and sent again.
  for (let left = await end.count(); left > 0; left -= 1) {
    await end.first().press('Enter');
    await until(async () => (await end.count()) < left, 'one session less');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'list-sessions');
  }
  await status(phone, /ended from another device/);
  await page.getByRole('button', { name: 'End all others' }).click();
  await until(async () => (await page.locator('#session-list li').count()) === 1, 'one session left');
  await status(stranger, /ended from another device/);
  assert.deepEqual(page.errors, []);
});

test('injected script finds no refresh token in cookie mode, and no access or refresh token in any storage', async () => {
  for (const mode of ['cookie', 'token']) {
    const page = await visit();
    await signIn(page, mode);
    const found = await page.evaluate(async () => {
      const databases = await indexedDB.databases();
      const cached = (await caches.keys()).length;
      return JSON.stringify([document.cookie, { ...localStorage }, { ...sessionStorage }, databases, cached, window.name]);
    });
    assert.doesNotMatch(found, /rt1_|eyJ/);
    assert.equal(await page.evaluate(() => document.cookie), '');
    // Everything that the page holds on to in plain sight.
    const globals = await page.evaluate(() =>
      Object.keys(window).map((name) => { try { return String(JSON.stringify(window[name])); } catch { return ''; } }).join(),
    );
    assert.doesNotMatch(globals, /rt1_/);
    if (mode === 'cookie') {
      assert.doesNotMatch(await page.content(), /rt1_/);
      const [cookie] = await page.context().cookies();
      assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Strict']);
      // A script of this origin can spend the cookie, but never read it.
      const body = await page.evaluate(async (api) => {
        const response = await fetch(`${api}/refresh`, {
          method: 'POST', credentials: 'include', body: '{}',
          headers: { 'content-type': 'application/json', 'x-ratchet': '1' },
        });
        return [response.headers.get('set-cookie'), await response.text()].join();
      }, page.proxy.url);
      assert.doesNotMatch(body, /rt1_/);
    }
    // The page's policy lets no inline script run.
    const blocked = await page.evaluate(() => {
      const script = document.createElement('script');
      try { script.textContent = 'window.injected = true'; } catch { return 'refused'; }
      document.body.append(script);
      return String(window.injected);
    });
    assert.notEqual(blocked, 'true');
  }
});

test('everything can be done by keyboard', async () => {
  const page = await visit();
  await page.locator('#sign-in').getByLabel('Name').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('grace');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('an admiral finds the first bug');
  await submit(page, () => page.keyboard.press('Enter'), /Signed in/);
  const focused = () => page.evaluate(() => document.activeElement.id);
  await until(async () => (await focused()) === 'users', 'the focus on the first button');
  await page.keyboard.press('Enter');
  await answered(page, 'GET /users');
  assert.match(await answer(page), /"grace"/);
  for (const id of ['expired', 'refresh', 'sign-out']) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(), id);
  }
  await page.keyboard.press('Space');
  await status(page, /signed out/);
  await page.locator('#sign-in').getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'Incorrect username or password!' }).waitFor();
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to (${colorScheme})`, async () => {
    const page = await visit({ colorScheme, bypassCSP: true });
    const check = (what) => accessible(page, what);
    await check('signed out');
    await signIn(page, 'token');
    await page.getByRole('button', { name: 'Steal the live token' }).click();
    await page.getByRole('button', { name: 'List' }).click();
    await page.getByText('(this one)').waitFor();
    await check('signed in');
    await screenshot(page, `page-${colorScheme}`, { fullPage: true });
  });
}
