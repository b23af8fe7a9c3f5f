// What a person sees, in a real browser against the real stack.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before, test } from 'node:test';

import { artefacts, sleep, startBrowser, startProxy, startStack } from './stack.js';

const LIFE = 6;
const WINDOW = 5;

let stack;
let browser;
let proxy;
let context;

before(async () => {
  stack = await startStack('--access-token-seconds', String(LIFE), '--retry-window-seconds', String(WINDOW));
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

afterEach(async () => {
  await context?.close();
  proxy?.stop();
  proxy = undefined;
});

/** A browser of somebody's own. */
async function visit({ ownClock = false, ...options } = {}) {
  context = await browser.newContext(options);
  if (ownClock) await context.clock.install();
  context.setDefaultTimeout(15_000);
  return open();
}

/** A tab of that browser, whose requests go through a proxy. */
async function open() {
  proxy ??= await startProxy(stack.port);
  const page = await context.newPage();
  page.errors = [];
  page.on('pageerror', (error) => page.errors.push(String(error)));
  await page.goto(`${stack.page}/?api=${proxy.url}`);
  await page.waitForFunction(() => !document.getElementById('status').textContent.startsWith('Looking'));
  return page;
}

async function signIn(page, mode) {
  await page.getByRole('radio', { name: mode === 'cookie' ? /in a cookie/ : /by this page/ }).check();
  await submit(page, () => page.getByRole('button', { name: 'Sign in' }).click());
}

/** Sends the form. Hashing on a busy machine may take longer than an answer may: then again. */
async function submit(page, send) {
  for (let tries = 5; ; tries -= 1) {
    await send();
    const signedIn = page.getByRole('status').filter({ hasText: /Signed in/ });
    const refused = page.getByRole('alert').filter({ hasText: /./ });
    await signedIn.or(refused).first().waitFor();
    if (await signedIn.count()) return;
    const reason = await refused.textContent();
    assert.match(reason, /not available/);
    assert.ok(tries > 0, reason);
  }
}

const status = (page, text) => page.getByRole('status').filter({ hasText: text }).first().waitFor();
const answer = (page) => page.locator('#answer-text').textContent();
const refreshes = () => proxy.seen.filter((request) => request === 'POST /refresh').length;

async function generation(page) {
  const live = await page.locator('#tokens [data-state="live"] strong').first().textContent();
  return Number(live.match(/\d+/)[0]);
}

async function until(condition, what, seconds = 20) {
  for (let tries = seconds * 10; tries > 0; tries -= 1) {
    if (await condition()) return;
    await sleep(100);
  }
  assert.fail(`not within ${seconds} s: ${what}`);
}

for (const mode of ['cookie', 'token']) {
  test(`sign in, see users, and stay in when the access token expires (${mode})`, async () => {
    const page = await visit();
    await signIn(page, mode);
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await page.getByText('"ada"').waitFor();
    const before = refreshes();
    await until(() => refreshes() > before, 'a refresh before the token expires', LIFE + 4);
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await until(async () => /\n200\n/.test(await answer(page)), 'users again');
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
  await page.clock.pauseAt(Date.now() + 500);
  const before = refreshes();
  await sleep(LIFE * 1000 + 500);
  assert.equal(refreshes(), before);
  await page.getByRole('button', { name: 'GET /users', exact: true }).click();
  await until(async () => /\n200\n/.test(await answer(page)), 'users');
  const expired = proxy.seen.filter((request) => request === 'GET /users').length;
  assert.equal(expired, 2, 'the expired request and its repetition');
  assert.equal(refreshes(), before + 1);
});

test('two tabs whose tokens expire at the same moment refresh once', async () => {
  const first = await visit();
  await signIn(first, 'token');
  const second = await open();
  await status(second, /Signed in/);
  const [generationBefore, requestsBefore] = [await generation(first), refreshes()];
  await until(async () => (await generation(first)) >= generationBefore + 3, 'three generations', 30);
  await sleep(500);
  const grown = (await generation(first)) - generationBefore;
  assert.equal(refreshes() - requestsBefore, grown, 'one request on the wire for each generation');
  assert.equal(await generation(second), await generation(first));
});

for (const [mode, bytes] of [['token', 0], ['token', 40], ['cookie', 0], ['cookie', 700]]) {
  test(`an answer that is cut off after ${bytes} bytes logs nobody out (${mode})`, async () => {
    const page = await visit();
    await signIn(page, mode);
    const before = refreshes();
    proxy.cut('/refresh', 2, bytes);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await until(() => refreshes() >= before + 3, 'two cut answers and a whole one');
    await page.getByRole('button', { name: 'GET /users', exact: true }).click();
    await until(async () => /\n200\n/.test(await answer(page)), 'users');
    await status(page, /Signed in/);
    // Past the retry window: had the client kept an old token, it would be out by now.
    await sleep((WINDOW + 1) * 1000);
    await status(page, /Signed in/);
  });
}

test('a stolen token that is presented when it is old ends the session, and the page says why', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await page.getByRole('button', { name: 'Steal the live token' }).click();
  await page.getByText('Stolen', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Refresh' }).click();
  await page.locator('#tokens [data-state="old"] .stolen').waitFor();
  await page.screenshot({ path: `${artefacts}stolen.png`, fullPage: true });
  await page.getByRole('button', { name: 'The thief presents it' }).click();
  await status(page, /an old refresh token was presented.*Thief and owner are both out/);
  assert.match(await answer(page), /reuse_detected/);
  assert.equal(await page.locator('#session').isVisible(), false);
  assert.equal(await page.locator('#tokens [data-state="live"]').count(), 0);
  await page.screenshot({ path: `${artefacts}reuse-detected.png`, fullPage: true });
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
  assert.deepEqual(await context.cookies(), []);
});

test('signing out in one tab signs the other one out', async () => {
  const first = await visit();
  await signIn(first, 'cookie');
  const second = await open();
  await status(second, /Signed in/);
  await first.getByRole('button', { name: 'Sign out' }).click();
  await status(second, /signed out/);
});

test('other sessions are listed and ended', async () => {
  const stranger = await visit();
  await signIn(stranger, 'cookie');
  const theirs = context;
  const page = await visit();
  await page.getByLabel('Device').fill('<img src=x onerror=alert(1)>');
  await signIn(page, 'cookie');
  await page.getByRole('button', { name: 'List' }).click();
  await page.getByText('(this one)').waitFor();
  assert.equal(await page.locator('#session-list img').count(), 0, 'a label is text');
  await page.getByRole('button', { name: 'End all others' }).click();
  await until(async () => (await page.locator('#session-list li').count()) === 1, 'one session left');
  await status(stranger, /ended from another device/);
  await theirs.close();
});

test('injected script finds no refresh token in cookie mode, and no token in any storage', async () => {
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
      const [cookie] = await context.cookies();
      assert.deepEqual([cookie.httpOnly, cookie.sameSite], [true, 'Strict']);
      // A script of this origin can spend the cookie, but never read it.
      const body = await page.evaluate(async (api) => {
        const response = await fetch(`${api}/refresh`, {
          method: 'POST', credentials: 'include', body: '{}',
          headers: { 'content-type': 'application/json', 'x-ratchet': '1' },
        });
        return [response.headers.get('set-cookie'), await response.text()].join();
      }, proxy.url);
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
    await context.close();
  }
});

test('everything can be done by keyboard', async () => {
  const page = await visit();
  await page.getByLabel('Name').focus();
  await page.keyboard.press('Control+A');
  await page.keyboard.type('grace');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Control+A');
  await page.keyboard.type('an admiral finds the first bug');
  await submit(page, () => page.keyboard.press('Enter'));
  const focused = () => page.evaluate(() => document.activeElement.id);
  await until(async () => (await focused()) === 'users', 'the focus on the first button');
  await page.keyboard.press('Enter');
  await page.getByText('"grace"').waitFor();
  for (const id of ['expired', 'refresh', 'sign-out']) {
    await page.keyboard.press('Tab');
    assert.equal(await focused(), id);
  }
  await page.keyboard.press('Space');
  await status(page, /signed out/);
  await page.getByLabel('Password').fill('wrong');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: 'Incorrect username or password!' }).waitFor();
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to (${colorScheme})`, async () => {
    const axe = await readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');
    const page = await visit({ colorScheme, bypassCSP: true });
    const check = async (what) => {
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => window.axe.run());
      const text = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
      assert.deepEqual(text, [], what);
    };
    await check('signed out');
    await signIn(page, 'token');
    await page.getByRole('button', { name: 'Steal the live token' }).click();
    await page.getByRole('button', { name: 'List' }).click();
    await page.getByText('(this one)').waitFor();
    await check('signed in');
    await page.screenshot({ path: `${artefacts}page-${colorScheme}.png`, fullPage: true });
    await page.goto(`${stack.page}/api.html`);
    await page.locator('#operations section').first().waitFor();
    await check('the API');
  });
}
