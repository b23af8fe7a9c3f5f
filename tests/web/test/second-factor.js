// A second factor on the demonstration page: switched on and off, and asked for at the next sign-in.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { App } from './authenticator-app.js';
import { sleep, startStack } from './stack.js';
import { accessible, answered, fill, member, newcomer, screenshot, settled, status, submit, until, visit } from './world.js';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const alert = (page, text) => page.getByRole('alert').filter({ hasText: text }).waitFor();

/** Signs in until the page asks for the next thing, which `form` does. */
async function password(page, user, form) {
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  // Hashing on a busy machine may take longer than an answer may: then again.
  for (let tries = 5; ; tries -= 1) {
    await page.locator('#sign-in').getByRole('button', { name: 'Sign in' }).click();
    const refused = page.getByRole('alert').filter({ hasText: /./ });
    await page.locator(form).or(refused).filter({ visible: true }).first().waitFor();
    if (await page.locator(form).isVisible()) return;
    assert.match(await refused.textContent(), /not available/);
    assert.ok(tries > 0);
  }
}

const proceed = (page, form) => () => page.locator(form).getByRole('button', { name: 'Continue' }).click();

/** Types a code, and is signed in. */
async function signInWith(page, code) {
  await fill(page, '#second-factor', { 'Code from your authenticator app': code });
  await submit(page, proceed(page, '#second-factor'), /Signed in/);
}

async function signOut(page) {
  await button(page, 'Sign out').click();
  await status(page, /signed out/);
}

/** What an app reads from the page. */
async function scan(page, form) {
  const image = page.locator(form).getByRole('img', { name: 'QR code for an authenticator app' });
  await image.waitFor();
  assert.match(await image.getAttribute('src'), /^data:image\/svg\+xml,/);
  assert.ok(await image.evaluate((shown) => shown.decode().then(() => shown.naturalWidth > 100)), 'an image that is drawn');
  return new App(await page.locator(form).locator('.enrollment code').innerText());
}

/** The recovery codes, once they are shown. */
async function recoveryCodes(page) {
  await page.locator('#recovery').waitFor();
  const codes = await page.locator('#recovery-codes li').allInnerTexts();
  assert.equal(new Set(codes).size, 10);
  return codes;
}

/** Sends a form of the signed-in user. */
const send = (page, form, name, accepted) =>
  submit(page, () => page.locator(form).getByRole('button', { name }).click(), accepted);

/** A signed-in user without a second factor. */
async function signedIn(page) {
  const user = await member(page);
  await submit(page, () => page.locator('#sign-in').getByRole('button', { name: 'Sign in' }).click(), /Signed in/);
  await page.locator('#factor-off').waitFor();
  return user;
}

/** Switches one on. */
async function switchOn(page, user) {
  await fill(page, '#factor-off', { Password: user.password });
  for (let tries = 5; tries && !(await page.locator('#factor-pending').isVisible()); tries -= 1) {
    await page.locator('#factor-off').getByRole('button', { name: 'Set up' }).click();
    await page.locator('#factor-pending').or(page.getByRole('alert').filter({ hasText: /./ })).filter({ visible: true }).first().waitFor();
  }
  const app = await scan(page, '#factor-pending');
  await fill(page, '#factor-pending', { 'Code from the app': await app.code() });
  await send(page, '#factor-pending', 'Switch on', /is on/);
  return { app, codes: await recoveryCodes(page) };
}

test('a second factor is switched on, asked for, and switched off again', async () => {
  const page = await visit();
  const user = await signedIn(page);
  const { app, codes } = await switchOn(page, user);
  assert.equal(await page.evaluate(() => document.activeElement.id), 'kept-codes');
  await button(page, 'I have kept them').click();
  await signOut(page);
  const text = await page.evaluate(() => document.body.textContent);
  for (const code of codes) assert.ok(!text.includes(code), 'no recovery code is left on the page');

  const tab = await page.context().newPage();
  await tab.goto(page.url());
  await settled(tab);
  await password(page, user, '#second-factor');
  await signInWith(page, await app.code());
  assert.equal(await page.locator('#second-factor').isVisible(), false);
  await status(tab, /Signed in/);
  await page.locator('#factor-on').waitFor();
  await page.getByText('The access token, decoded').click();
  await page.getByRole('row').filter({ hasText: 'amr' }).filter({ hasText: 'pwd, otp' }).waitFor();

  await fill(page, '#factor-on', { Password: user.password, 'Code from the app': codes[0] });
  await send(page, '#factor-on', 'Switch off', /is off/);
  await page.locator('#factor-off').waitFor();
  await signOut(page);
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  await submit(page, () => page.locator('#sign-in').getByRole('button', { name: 'Sign in' }).click(), /Signed in/);
  assert.deepEqual(page.errors, []);
});

test('a wrong code is said, and the right one completes the same sign-in', async () => {
  const page = await visit();
  const user = await signedIn(page);
  const { app } = await switchOn(page, user);
  await signOut(page);
  await password(page, user, '#second-factor');
  const code = page.locator('#second-factor').getByLabel('Code from your authenticator app');
  await code.fill(app.wrong());
  await page.keyboard.press('Enter');
  await alert(page, /code/i);
  assert.equal(await code.getAttribute('aria-invalid'), 'true');
  assert.equal(await code.evaluate((field) => field === document.activeElement), true);
  assert.equal(await page.locator('#session').isVisible(), false);
  await until(async () => {
    await signInAgain(page, await app.code());
    return page.locator('#session').isVisible();
  }, 'the session', 60);
  assert.deepEqual(page.errors, []);
});

/** A wrong code may have delayed the next attempt. */
async function signInAgain(page, code) {
  await fill(page, '#second-factor', { 'Code from your authenticator app': code });
  await proceed(page, '#second-factor')();
  const refused = page.getByRole('alert').filter({ hasText: /./ });
  await page.locator('#session').or(refused).filter({ visible: true }).first().waitFor();
  if (await refused.count()) await sleep(1_000);
}

test('a recovery code works once, and new ones replace the others', async () => {
  const page = await visit();
  const user = await signedIn(page);
  const { app, codes } = await switchOn(page, user);
  const byRecovery = async (code) => {
    await signOut(page);
    await password(page, user, '#second-factor');
    await button(page, 'Use a recovery code').click();
    await fill(page, '#second-factor', { 'Recovery code': code });
  };
  await byRecovery(codes[0]);
  await submit(page, proceed(page, '#second-factor'), /Signed in/);
  await byRecovery(codes[0]);
  await proceed(page, '#second-factor')();
  await alert(page, /./);
  await fill(page, '#second-factor', { 'Recovery code': codes[1] });
  await submit(page, proceed(page, '#second-factor'), /Signed in/);

  await fill(page, '#factor-on', { Password: user.password, 'Code from the app': await app.code() });
  await send(page, '#factor-on', 'New recovery codes', /earlier recovery codes do not work/);
  const [next] = await recoveryCodes(page);
  await byRecovery(codes[2]);
  await proceed(page, '#second-factor')();
  await alert(page, /./);
  await fill(page, '#second-factor', { 'Recovery code': next });
  await submit(page, proceed(page, '#second-factor'), /Signed in/);
  assert.deepEqual(page.errors, []);
});

test('a sign-in that is not completed leaves nothing behind', async () => {
  const page = await visit();
  const user = await signedIn(page);
  await switchOn(page, user);
  await signOut(page);
  await password(page, user, '#second-factor');
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.cookie]));
  assert.doesNotMatch(kept, /sf1_/);
  assert.equal(await page.locator('#sign-in').getByLabel('Password').inputValue(), '');
  await page.locator('#second-factor').getByRole('button', { name: 'Back' }).click();
  assert.equal(await page.locator('#sign-in').isVisible(), true);
  await page.reload();
  await settled(page);
  await status(page, /not signed in/);
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to in a second factor (${colorScheme})`, async () => {
    const page = await visit({ colorScheme, bypassCSP: true });
    const user = await signedIn(page);
    await accessible(page, 'a second factor that is off');
    await fill(page, '#factor-off', { Password: user.password });
    await page.locator('#factor-off').getByRole('button', { name: 'Set up' }).click();
    const app = await scan(page, '#factor-pending');
    await accessible(page, 'a QR code');
    await fill(page, '#factor-pending', { 'Code from the app': await app.code() });
    await send(page, '#factor-pending', 'Switch on', /is on/);
    await accessible(page, 'recovery codes');
    await signOut(page);
    await password(page, user, '#second-factor');
    await accessible(page, 'a sign-in that needs a code');
    await screenshot(page, `second-factor-${colorScheme}`, { fullPage: true });
  });
}

describe('where a second factor is required', () => {
  let required;

  before(async () => {
    required = await startStack('--set', 'SecondFactor=required');
  });

  after(async () => {
    await required?.stop();
  });

  test('a user sets one up during the first sign-in, which is bound to a key', async () => {
    const page = await visit();
    // Not through the proxy: proofs name the URL of the service.
    await page.goto(required.page);
    await settled(page);
    await page.getByRole('radio', { name: /by this page/ }).check();
    await page.getByRole('checkbox', { name: /bound to a key/ }).check();
    const user = { ...newcomer(), name: 'ada', password: 'correct horse battery staple' };
    await password(page, user, '#set-up');
    const app = await scan(page, '#set-up');
    await fill(page, '#set-up', { 'Code from the app': app.wrong() });
    await proceed(page, '#set-up')();
    await alert(page, /code/i);
    await until(async () => {
      if (await page.locator('#session').isVisible()) return true;
      await fill(page, '#set-up', { 'Code from the app': await app.code() });
      await proceed(page, '#set-up')();
      await sleep(1_500);
      return page.locator('#session').isVisible();
    }, 'the session', 60);
    const [code] = await recoveryCodes(page);
    await page.locator('#factor-on').waitFor();
    await page.getByText('in memory, and bound to a key').waitFor();
    await button(page, 'Refresh').click();
    await answered(page, 'POST /refresh');
    await signOut(page);
    await password(page, user, '#second-factor');
    await button(page, 'Use a recovery code').click();
    await fill(page, '#second-factor', { 'Recovery code': code });
    await submit(page, proceed(page, '#second-factor'), /Signed in/);
    assert.deepEqual(page.errors, []);
  });
});
