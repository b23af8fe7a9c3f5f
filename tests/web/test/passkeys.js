// Passkeys on the demonstration page: added, used for signing in and in place of a code, and removed.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { App } from './authenticator-app.js';
import { Authenticator } from './virtual-authenticator.js';
import { accessible, fill, member, screenshot, settled, stack, status, submit, until, visit } from './world.js';

const button = (page, name) => page.getByRole('button', { name, exact: true });
const passkeys = (page) => page.locator('#passkey-list li');
/** Browsers have no passkeys for addresses. Not through the proxy, whose address is another site. */
const atLocalhost = () => `${stack.page.replace('127.0.0.1', 'localhost')}/`;

/** A tab at localhost, with an authenticator. */
async function atHome(page) {
  const device = await Authenticator.of(page);
  await page.goto(atLocalhost());
  await settled(page);
  return device;
}

/** Somebody who is signed in with a password. */
async function signedIn(options) {
  const page = await visit(options);
  const user = await member(page);
  const device = await atHome(page);
  await password(page, user);
  return { page, user, device };
}

async function password(page, user) {
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  await submit(page, () => button(page, 'Sign in').click(), /Signed in/);
  await page.locator('#passkey-add').waitFor();
}

/** Sends a form of the card. */
const send = (page, form, name, accepted) =>
  submit(page, () => page.locator(form).getByRole('button', { name }).click(), accepted);

async function add(page, user, device, name = 'My phone') {
  await device.touched();
  await fill(page, '#passkey-add', { 'Name of a new passkey': name, Password: user.password });
  await send(page, '#passkey-add', 'Add a passkey', `${name} has been added`);
  await device.touched(false);
  await passkeys(page).filter({ hasText: name }).waitFor();
}

async function signOut(page) {
  await button(page, 'Sign out').click();
  await status(page, /signed out/);
}

/**
 * Until the page has asked the browser for suggestions this many times. Touched earlier, the authenticator would
 * choose one, and the button would then sign in a second time.
 */
const suggested = (page, times = 1) =>
  until(async () => (await page.locator('#exchanges li').filter({ hasText: /200 POST .passkeys.options/ }).count()) >= times, 'suggestions');

/** Signs in with the button. */
async function choose(page, device, times) {
  await suggested(page, times);
  await device.touched();
  await button(page, 'Sign in with a passkey').click();
  await status(page, /Signed in/);
  await device.touched(false);
}

async function claim(page, name) {
  const details = page.locator('#decoded');
  if (!(await details.getAttribute('open'))) await details.getByText('The access token, decoded').click();
  const row = page.getByRole('row').filter({ has: page.getByRole('rowheader', { name, exact: true }) });
  return row.getByRole('cell').innerText();
}

test('a passkey is added, signs its user in without a name, is renamed and removed', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  await passkeys(page).getByText('not used yet').waitFor();
  await signOut(page);
  await page.locator('#sign-in').getByLabel('Name').fill('');
  await choose(page, device);
  assert.equal(await page.locator('#user').innerText(), user.name);
  assert.equal(await claim(page, 'amr'), 'hwk');
  await passkeys(page).getByText('used just now').waitFor();

  await button(page, 'Rename My phone').click();
  await fill(page, '#passkey-rename', { 'New name of My phone': '<b>Laptop</b>' });
  await send(page, '#passkey-rename', 'Rename', 'now called <b>Laptop</b>');
  await button(page, 'Remove <b>Laptop</b>').click();
  await fill(page, '#passkey-remove', { Password: user.password });
  await send(page, '#passkey-remove', 'Remove', 'has been removed');
  await until(async () => (await passkeys(page).count()) === 0, 'an empty list');
  await signOut(page);
  await suggested(page);
  await device.touched();
  await button(page, 'Sign in with a passkey').click();
  await page.getByRole('alert').filter({ hasText: /may have been removed/ }).waitFor();
  assert.equal(await page.locator('#session').isVisible(), false);
  assert.deepEqual(page.errors, []);
});

test('a copy of a passkey signs in on another device, where nobody has signed in', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  const [credential] = await device.credentials();
  const other = await visit();
  const copy = await atHome(other);
  await copy.put(credential);
  await choose(other, copy);
  assert.equal(await other.locator('#user').innerText(), user.name);
  await other.reload();
  await status(other, /Signed in/);
  assert.equal(await other.locator('#user').innerText(), user.name);
  assert.deepEqual(other.errors, []);
});

test('the browser suggests a passkey for the name, and choosing it is enough', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  const field = page.locator('#sign-in').getByLabel('Name');
  assert.equal(await field.getAttribute('autocomplete'), 'username webauthn');
  // Touched in advance, the virtual authenticator chooses what is suggested first.
  await device.touched();
  await button(page, 'Sign out').click();
  await status(page, /Signed in/);
  assert.equal(await page.locator('#user').innerText(), user.name);
  assert.equal(await claim(page, 'amr'), 'hwk');
  assert.deepEqual(page.errors, []);
});

test('suggestions do not stand in the way of a password, and end with the sign-in', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  await signOut(page);
  await password(page, user);
  await device.touched();
  await page.reload();
  await settled(page);
  assert.match(await claim(page, 'amr'), /pwd/);
});

test('a wrong password, a second passkey for one device and a closed dialog are said', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  await device.touched();
  await fill(page, '#passkey-add', { 'Name of a new passkey': 'Another', Password: 'not the password at all' });
  const send = () => button(page, 'Add a passkey').click();
  await send();
  const alert = page.locator('#passkey-add').getByRole('alert');
  await alert.filter({ hasText: /password/ }).waitFor();
  const field = page.locator('#passkey-add').getByLabel('Password');
  assert.equal(await field.getAttribute('aria-invalid'), 'true');
  await field.fill(user.password);
  await send();
  await alert.filter({ hasText: /has a passkey for you already/ }).waitFor();

  await signOutWithout(page, device);
  const other = await visit();
  const empty = await atHome(other);
  await empty.touched();
  await button(other, 'Sign in with a passkey').click();
  await other.getByRole('alert').filter({ hasText: /No passkey was used/ }).waitFor();
  assert.deepEqual([...page.errors, ...other.errors], []);
});

/** Signs out without choosing what is then suggested. */
async function signOutWithout(page, device) {
  await device.touched(false);
  await signOut(page);
}

test('a passkey stands in for the code of an app', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  await page.locator('#factor-off').getByLabel('Password').fill(user.password);
  await button(page, 'Set up').click();
  const app = new App(await page.locator('#factor-pending .enrollment code').innerText());
  await fill(page, '#factor-pending', { 'Code from the app': await app.code() });
  await send(page, '#factor-pending', 'Switch on', /is on/);
  await signOut(page);
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  await until(async () => {
    await button(page, 'Sign in').click();
    await page.locator('#second-factor').or(page.getByRole('alert').filter({ hasText: /./ })).filter({ visible: true }).first().waitFor();
    return page.locator('#second-factor').isVisible();
  }, 'the form for the code');

  await device.verifies(false);
  await device.touched();
  await button(page, 'Use a passkey').click();
  await page.getByRole('alert').filter({ hasText: /No passkey was used/ }).waitFor();
  await device.verifies(true);
  await button(page, 'Use a passkey').click();
  await status(page, /Signed in/);
  assert.equal(await claim(page, 'amr'), 'pwd, hwk');
  assert.deepEqual(page.errors, []);
});

test('a session that begins with a passkey can be bound to a key', async () => {
  const { page, user, device } = await signedIn();
  await add(page, user, device);
  await signOut(page);
  await page.getByRole('radio', { name: /by this page/ }).check();
  await page.getByRole('checkbox', { name: /bound to a key/ }).check();
  // Each of the two changes the suggestions.
  await choose(page, device, 3);
  await page.getByText('in memory, and bound to a key').waitFor();
  await button(page, 'Refresh').click();
  await until(async () => (await page.locator('#tokens li').count()) > 1, 'another token');
  await passkeys(page).getByText('My phone').waitFor();
  assert.deepEqual(page.errors, []);
});

test('browsers that do not convert the JSON of WebAuthn have passkeys too', async () => {
  const init = () => {
    delete PublicKeyCredential.parseCreationOptionsFromJSON;
    delete PublicKeyCredential.parseRequestOptionsFromJSON;
    delete PublicKeyCredential.prototype.toJSON;
  };
  const { page, user, device } = await signedIn({ init });
  assert.equal(await page.evaluate(() => 'toJSON' in PublicKeyCredential.prototype), false);
  await add(page, user, device);
  await signOut(page);
  await choose(page, device);
  assert.equal(await page.locator('#user').innerText(), user.name);
});

test('the page says where there are passkeys', async () => {
  const page = await visit();
  assert.equal(await button(page, 'Sign in with a passkey').isVisible(), false);
  await submit(page, () => button(page, 'Sign in').click(), /Signed in/);
  const link = page.locator('#passkeys').getByRole('link', { name: atLocalhost().slice(0, -1) });
  await link.click();
  await settled(page);
  assert.equal(page.url(), atLocalhost());
  await button(page, 'Sign in with a passkey').waitFor();
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to in passkeys (${colorScheme})`, async () => {
    const { page, user, device } = await signedIn({ colorScheme, bypassCSP: true });
    await accessible(page, 'no passkey');
    await add(page, user, device);
    await accessible(page, 'a passkey');
    await screenshot(page, `passkeys-${colorScheme}`, { fullPage: true });
    for (const name of ['Rename', 'Remove']) {
      await button(page, `${name} My phone`).click();
      await accessible(page, name);
    }
    await signOut(page);
    await accessible(page, 'a sign-in');
  });
}
