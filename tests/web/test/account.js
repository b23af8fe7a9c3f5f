// From registration to a session, and from a forgotten password to a new one, with real messages.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { sleep } from './stack.js';
import {
  accessible, fill, member, message, newcomer, register, screenshot, settled, signIn, stack, status, submit, until, visit,
} from './world.js';

/** Leaves every field by keyboard, as somebody without a mouse does. */
async function type(page, ...texts) {
  for (const [index, text] of texts.entries()) {
    if (index) await page.keyboard.press('Tab');
    await page.keyboard.type(text);
  }
}

test('a user registers, confirms by code and signs in, by keyboard alone', async () => {
  const page = await visit();
  const user = newcomer();
  const focused = () => page.evaluate(() => [document.activeElement.form?.id, document.activeElement.name].join());
  await page.locator('#sign-in').getByRole('button', { name: 'Sign in' }).focus();
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  assert.equal(await focused(), 'register,name');
  await type(page, user.name, user.email, user.password);
  await submit(page, () => page.keyboard.press('Enter'), /Look into your mail/);
  assert.equal(await focused(), 'confirm,code');
  const { code } = await message(page, /Confirm your e-mail address/);

  await page.keyboard.type(code === '000000' ? '000001' : '000000');
  await page.keyboard.press('Enter');
  await page.getByRole('alert').filter({ hasText: /wrong, used or expired/ }).waitFor();
  assert.equal(await focused(), 'confirm,code', 'where it is to be typed again');
  await page.keyboard.press('Control+A');
  await page.keyboard.type(code);
  await submit(page, () => page.keyboard.press('Enter'), /is confirmed/);

  assert.equal(await focused(), 'sign-in,password');
  assert.equal(await page.locator('#sign-in').getByLabel('Name').inputValue(), user.name);
  await page.keyboard.type(user.password);
  await submit(page, () => page.keyboard.press('Enter'), /Signed in/);
  assert.equal(await page.locator('#mail').isVisible(), false);
  assert.deepEqual(page.errors, []);
});

test('everything that is wrong with a password is said at once, and of which field', async () => {
  const page = await visit();
  const user = newcomer();
  await page.getByRole('button', { name: 'Register' }).click();
  await fill(page, '#register', { Name: user.name, 'E-mail address': user.email, Password: '123123123' });
  await page.locator('#register').getByRole('button', { name: 'Register' }).click();
  const items = page.getByRole('alert').getByRole('listitem');
  await until(async () => (await items.count()) > 1, 'several rules');
  const rules = await items.allTextContents();
  assert.ok(rules.includes('It must have at least 15 characters.'), rules.join());
  assert.ok(rules.includes('It repeats itself or counts.'), rules.join());
  const password = page.locator('#register').getByLabel('Password');
  assert.equal(await password.getAttribute('aria-invalid'), 'true');
  const described = await password.evaluate((field) => document.getElementById(field.getAttribute('aria-describedby')).textContent);
  assert.equal(described, rules.join(''));
  assert.equal(await password.evaluate((field) => field === document.activeElement), true);
  await screenshot(page, 'password-refused', { fullPage: true });

  await password.fill(user.password);
  const send = () => page.locator('#register').getByRole('button', { name: 'Register' }).click();
  await submit(page, send, /Look into your mail/);
  assert.equal(await page.locator('[aria-invalid]').count(), 0);
});

test('the link of a message confirms when the button is pressed, not before, and again it is done', async () => {
  const page = await visit();
  const user = newcomer();
  await register(page, user);
  const { link } = await message(page, /Confirm your e-mail address/);
  assert.ok(link.startsWith(`${stack.page}/#action=confirm-email&token=rm1_`), link);
  // Somebody who is in a hurry.
  await page.locator('#confirm').getByRole('button', { name: 'Back' }).click();
  await fill(page, '#sign-in', { Password: user.password });
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('alert').filter({ hasText: /has not been confirmed yet/ }).waitFor();
  assert.equal(await page.locator('#confirm').isVisible(), true);

  await page.goto(link);
  await settled(page);
  assert.equal(await page.evaluate(() => location.href), `${stack.page}/`, 'no token in the history');
  const confirm = () => page.locator('#confirm').getByRole('button', { name: 'Confirm' }).click();
  await submit(page, confirm, /is confirmed/);
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  await signIn(page, 'cookie');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await status(page, /signed out/);

  await page.goto(link);
  await settled(page);
  await submit(page, confirm, /is confirmed/);

  await page.goto(`${link.slice(0, -20)}AAAAAAAAAAAAAAAAAAAA`);
  await settled(page);
  await confirm();
  await page.getByRole('alert').filter({ hasText: /wrong, used or expired/ }).waitFor();
});

test('a forgotten password is replaced, and all sessions end', async () => {
  const page = await visit();
  const user = await member(page);
  await signIn(page, 'cookie');

  const other = await visit();
  await other.getByRole('button', { name: 'Forgotten password' }).click();
  await fill(other, '#forgot', { 'E-mail address': user.email });
  await submit(other, () => other.getByRole('button', { name: 'Send a message' }).click(), /a message is on its way/);
  const { code } = await message(other, /password/);
  const set = () => other.getByRole('button', { name: 'Set the password' }).click();
  await fill(other, '#reset', { Code: code, 'New password': 'short' });
  await set();
  await other.getByRole('alert').filter({ hasText: /at least 15 characters/ }).waitFor();
  await fill(other, '#reset', { 'New password': 'quite another sentence' });
  await submit(other, set, /all sessions are over/);
  await status(page, /ended from another device/);
  await fill(other, '#sign-in', { Name: user.name, Password: 'quite another sentence' });
  await signIn(other, 'cookie');
});

test('strangers who guess do not keep out a browser that has signed in before', async () => {
  const page = await visit();
  const { name, password } = await member(page);
  await signIn(page, 'cookie');
  await page.getByRole('button', { name: 'Sign out' }).click();
  await status(page, /signed out/);

  const stranger = await visit();
  await fill(stranger, '#sign-in', { Name: name, Password: password });
  const guess = () =>
    fetch(`${stack.api}/authenticate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ name, password: 'a guess' }),
    });
  // Until the delay is long enough to be seen.
  for (let delay = 0; delay < 16; ) {
    const { status: answered, headers } = await guess();
    assert.ok([401, 429, 503].includes(answered), answered);
    delay = answered === 429 ? Number(headers.get('retry-after')) : 0;
    if (delay && delay < 16) await sleep(delay * 1000);
  }
  await stranger.getByRole('button', { name: 'Sign in' }).click();
  await stranger.getByRole('alert').filter({ hasText: /Too many attempts\. Try again in \d+ s\./ }).waitFor();

  await fill(page, '#sign-in', { Name: name.toUpperCase(), Password: password });
  await signIn(page, 'cookie');
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to in registration (${colorScheme})`, async () => {
    const page = await visit({ colorScheme, bypassCSP: true });
    await page.getByRole('button', { name: 'Register' }).click();
    await fill(page, '#register', { Name: 'a/b', 'E-mail address': 'a@example.com', Password: 'password' });
    await page.locator('#register').getByRole('button', { name: 'Register' }).click();
    await page.getByRole('alert').filter({ hasText: /./ }).waitFor();
    await accessible(page, 'a refused name');
    const user = newcomer();
    await page.locator('#register').getByRole('button', { name: 'Back' }).click();
    await register(page, user);
    await message(page, /Confirm/);
    await accessible(page, 'a message has arrived');
    await screenshot(page, `register-${colorScheme}`, { fullPage: true });
    await page.locator('#confirm').getByRole('button', { name: 'Back' }).click();
    await page.getByRole('button', { name: 'Forgotten password' }).click();
    await accessible(page, 'a forgotten password');
  });
}
