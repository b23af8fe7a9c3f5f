// What the page shows of a token's life, and what it leaves behind.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sleep } from './stack.js';
import {
  accessible, answer, answered, generation, refreshes, screenshot, settled, signIn, stack, status, until, visit, WINDOW,
} from './world.js';

const button = (page, name) => page.getByRole('button', { name, exact: true });

test('the page shows who is signed in, and the access token with its life', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await page.getByRole('heading', { name: 'ada' }).waitFor();
  await page.getByText('The access token, decoded').click();
  const row = (name) => page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });
  assert.match(await row('name').innerText(), /ada/);
  assert.match(await row('aud').innerText(), /ratchet/);
  const seconds = async () => Number.parseInt(await page.locator('#countdown').textContent(), 10);
  const first = await seconds();
  // A refresh may set it back.
  await until(async () => (await seconds()) !== first, 'the countdown');
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await button(page, 'Copy the token').click();
  await button(page, 'Copied').waitFor();
  assert.match(await page.evaluate(() => navigator.clipboard.readText()), /^eyJ.+\..+\..+$/);
});

test('the service refuses an expired token that nobody had to wait for', async () => {
  const page = await visit();
  await signIn(page, 'cookie');
  await button(page, 'GET /users with an expired token').click();
  await page.getByText('IS-TOKEN-EXPIRED: true').waitFor({ timeout: 3_000 });
  assert.match(await answer(page), /expired_access_token/);
});

test('a lost answer leads to the live token, and signs nobody out', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await button(page, 'Lose an answer').click();
  await page.getByText('Never arrived').waitFor();
  const lost = await generation(page);
  await button(page, 'Refresh').click();
  await page.getByText('Never arrived').waitFor({ state: 'detached' });
  assert.ok((await generation(page)) >= lost);
  await status(page, /Signed in/);
});

test('the thief who comes first is told apart from the one who comes second', async () => {
  const page = await visit();
  await signIn(page, 'token');
  const story = page.locator('#theft-story');
  await button(page, 'Steal the live token').click();
  await button(page, 'The thief presents it').click();
  await story.filter({ hasText: /answered 200: the thief came first/ }).waitFor();
  const before = refreshes(page);
  await button(page, 'Refresh').click();
  await until(() => refreshes(page) > before, 'the owner refreshes');
  await answered(page, 'POST /refresh');
  await button(page, 'The thief presents it').click();
  await story.filter({ hasText: /answered 200/ }).waitFor();
});

test('the token of a session that is bound to a key is worth nothing to a thief, and the owner goes on', async () => {
  const page = await visit({ bypassCSP: true });
  // Not through the proxy: proofs name the URL of the service.
  await page.goto(stack.page);
  await settled(page);
  await page.getByRole('checkbox', { name: /bound to a key/ }).check();
  await signIn(page, 'token');
  await page.getByText('in memory, and bound to a key').waitFor();
  await button(page, 'Steal the live token').click();
  await button(page, 'The thief presents it').click();
  const story = page.locator('#theft-story');
  await story.filter({ hasText: /400 invalid_dpop_proof.*worth nothing to them, and the owner goes on/ }).waitFor();
  const before = await generation(page);
  await button(page, 'Refresh').click();
  await answered(page, 'POST /refresh');
  assert.ok((await generation(page)) > before);
  assert.match(await answer(page), /\ndpop: eyJ/);
  await page.locator('#tokens [data-state="bound"] .stolen').waitFor();
  // The owner's own requests prove the key, also the one whose answer is lost.
  await button(page, 'Lose an answer').click();
  await page.getByText('Never arrived').waitFor();
  await button(page, 'Refresh').click();
  await page.getByText('Never arrived').waitFor({ state: 'detached' });
  await button(page, 'GET /users with an expired token').click();
  await page.getByText('IS-TOKEN-EXPIRED: true').waitFor();
  await accessible(page, 'a bound session');
  await page.reload();
  await settled(page);
  assert.equal(await page.getByRole('checkbox', { name: /bound to a key/ }).isChecked(), true);
  assert.deepEqual(page.errors, []);
});

test('the chain tells a late token from an old one', async () => {
  const page = await visit();
  const states = await page.evaluate(async () => {
    const { Chain } = await import('/chain.js');
    return [2, 0].map((lateRecoveries) => {
      const list = document.createElement('ol');
      const chain = new Chain(list, { retryWindowSeconds: -1, lateRecoveries });
      for (let number = 0; number < 3; number += 1) chain.add(`cookie ${number}`, 'cookie');
      return [...list.children].map(({ dataset, textContent }) => `${dataset.state}: ${textContent}`);
    });
  });
  assert.deepEqual(states[0].map((state) => state.split(':')[0]), ['old', 'late', 'live']);
  assert.match(states[0][1], /leads on, twice in eight refreshes/);
  assert.deepEqual(states[1].map((state) => state.split(':')[0]), ['old', 'old', 'live']);
});

test('signing out leaves nothing of the user on the page', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await button(page, 'GET /users').click();
  await button(page, 'Steal the live token').click();
  await button(page, 'Sign out').click();
  await status(page, /signed out/);
  for (const id of ['#session', '#chain', '#sessions']) assert.equal(await page.locator(id).isVisible(), false, id);
  const text = await page.evaluate(() => document.body.textContent);
  assert.doesNotMatch(text, /rt1_|eyJ|Stolen|"ada"|correct horse/);
  assert.equal(await page.locator('#exchanges li').count(), 0);
});

test('nothing can be stolen from somebody who is signed out', async () => {
  const page = await visit();
  await signIn(page, 'token');
  const buttons = ['Steal the live token', 'The thief presents it', 'Lose an answer'];
  await button(page, buttons[0]).click();
  await button(page, 'Refresh').click();
  await page.locator('#tokens [data-state="old"] .stolen').waitFor({ timeout: (WINDOW + 20) * 1000 });
  await button(page, buttons[1]).click();
  await page.locator('#theft-story').filter({ hasText: /answered 401 reuse_detected/ }).waitFor();
  await status(page, /Thief and owner are both out/);
  for (const name of buttons) assert.equal(await button(page, name).isDisabled(), true, name);
});

test('a service that cannot be reached is said in words', async () => {
  const page = await visit();
  await signIn(page, 'token');
  await page.route('**/refresh', (route) => route.abort());
  await button(page, 'Lose an answer').click();
  await status(page, /cannot be reached/);
  assert.doesNotMatch(await page.locator('body').innerText(), /Failed to fetch|TypeError/);
});

test('sessions are told apart by device and time', async () => {
  const page = await visit();
  await signIn(page, 'cookie');
  await page.locator('#session-list li').first().waitFor();
  const own = page.locator('#session-list li').filter({ hasText: '(this one)' });
  assert.match(await own.innerText(), /^Chrome on Linux \(this one\)\s+(just now|\d+ minutes? ago), /);
});

test('a button that works says so, and works once', async () => {
  const page = await visit();
  await signIn(page, 'cookie');
  let asked = 0;
  await page.route('**/users/me/sessions?except=current', async (route) => {
    asked += 1;
    await sleep(500);
    await route.continue();
  });
  await button(page, 'End all others').dblclick();
  assert.equal(await button(page, 'End all others').getAttribute('aria-busy'), 'true');
  await status(page, /Ended/);
  assert.equal(asked, 1);
});

test('answers do not move the page', async () => {
  const page = await visit({ viewport: { width: 1280, height: 900 } });
  await signIn(page, 'token');
  await page.locator('#session-list li').first().waitFor();
  const tops = () => page.evaluate(() => ['session', 'chain', 'sessions'].map((id) => document.getElementById(id).offsetTop));
  const before = await tops();
  await button(page, 'GET /users').click();
  await answered(page, 'GET /users');
  await button(page, 'List').click();
  await until(async () => /sessions/.test(await answer(page)), 'sessions');
  assert.deepEqual(await tops(), before);
});

for (const colorScheme of ['light', 'dark']) {
  test(`a phone shows everything without scrolling sideways (${colorScheme})`, async () => {
    const page = await visit({ viewport: { width: 360, height: 740 }, colorScheme, bypassCSP: true });
    await signIn(page, 'token');
    await button(page, 'GET /users').click();
    await page.getByText('The access token, decoded').click();
    await button(page, 'Steal the live token').click();
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await accessible(page, 'on a phone');
    await screenshot(page, `phone-${colorScheme}`, { fullPage: true });
  });
}

test('the link of a message is followed from its fragment, which no server sees', async () => {
  const page = await visit();
  const { origin } = new URL(page.url());
  await page.goto(`${origin}/#action=reset-password&token=rm1_of-nobody`);
  await settled(page);
  await page.locator('#reset').getByLabel('New password').fill('quite another sentence');
  assert.equal(page.url(), `${origin}/`, 'no token in the history');
  await page.locator('#reset').getByRole('button', { name: 'Set the password' }).click();
  await page.getByRole('alert').filter({ hasText: /wrong, used or expired/ }).waitFor();
});
