// One stack and one browser for all tests, and what people do on the page.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { after, afterEach, before } from 'node:test';
import { fileURLToPath } from 'node:url';

import { artefacts, sleep, startBrowser, startProxy, startStack } from './stack.js';

/** How long an access token lives, and how long a superseded token leads on, in seconds. */
export const LIFE = 6;
export const WINDOW = 10;

export let stack;
let browser;
const visitors = [];

before(async () => {
  stack = await startStack('--access-token-seconds', String(LIFE), '--retry-window-seconds', String(WINDOW));
  browser = await startBrowser();
});

after(async () => {
  await browser?.close();
  await stack?.stop();
});

afterEach(async () => {
  for (const { context, proxy } of visitors.splice(0)) {
    await context.close();
    proxy.stop();
  }
});

/** A browser of somebody's own, whose requests go through a proxy of its own. `init` runs first. */
export async function visit({ ownClock = false, init, ...options } = {}) {
  const visitor = { context: await browser.newContext(options), proxy: await startProxy(stack.port) };
  visitors.push(visitor);
  if (ownClock) await visitor.context.clock.install();
  if (init) await visitor.context.addInitScript(init);
  visitor.context.setDefaultTimeout(30_000);
  return open(visitor);
}

/** A tab of that browser. */
export async function open(visitor) {
  const page = await visitor.context.newPage();
  Object.assign(page, { visitor, proxy: visitor.proxy, errors: [] });
  page.on('pageerror', (error) => page.errors.push(String(error)));
  await page.goto(`${stack.page}/?api=${visitor.proxy.url}`);
  await settled(page);
  return page;
}

/** Until the page knows whether anybody is signed in. */
export const settled = (page) =>
  page.waitForFunction(() => !document.getElementById('status').textContent.startsWith('Looking'));

export async function signIn(page, mode) {
  await page.getByRole('radio', { name: mode === 'cookie' ? /in a cookie/ : /by this page/ }).check();
  await submit(page, () => page.getByRole('button', { name: 'Sign in' }).click(), /Signed in/);
}

/**
 * Sends a form until the status says that it was accepted. Hashing on a busy machine may take
 * longer than an answer may: then again.
 */
export async function submit(page, send, accepted) {
  for (let tries = 5; ; tries -= 1) {
    await send();
    const done = page.getByRole('status').filter({ hasText: accepted });
    const refused = page.getByRole('alert').filter({ hasText: /./ });
    await done.or(refused).first().waitFor();
    if (await done.count()) return;
    const reason = await refused.textContent();
    assert.match(reason, /not available/);
    assert.ok(tries > 0, reason);
  }
}

const PASSWORD = 'sixteen words or so';
let number = 0;

/** Somebody who has no account yet. */
export function newcomer() {
  number += 1;
  const name = `newcomer-${process.pid}-${number}`;
  return { name, email: `${name}@example.com`, password: PASSWORD };
}

/** Fills a form in by its labels. */
export async function fill(page, form, fields) {
  for (const [label, text] of Object.entries(fields)) {
    await page.locator(form).getByLabel(label).fill(text);
  }
}

export async function register(page, { name, email, password }) {
  await page.getByRole('button', { name: 'Register' }).click();
  await fill(page, '#register', { Name: name, 'E-mail address': email, Password: password });
  const send = () => page.locator('#register').getByRole('button', { name: 'Register' }).click();
  await submit(page, send, /Look into your mail/);
}

/** The message that the page shows once it has arrived. */
export async function message(page, subject) {
  await page.locator('#mail-subject').filter({ hasText: subject }).waitFor({ timeout: 30_000 });
  const text = await page.locator('#mail-text').innerText();
  return { code: text.match(/^\d{6}$/m)[0], link: await page.locator('#mail-text a').getAttribute('href') };
}

/** Registers somebody and confirms by the link. */
export async function member(page) {
  const user = newcomer();
  await register(page, user);
  await page.goto((await message(page, /Confirm/)).link);
  await settled(page);
  await submit(page, () => page.locator('#confirm').getByRole('button', { name: 'Confirm' }).click(), /is confirmed/);
  await fill(page, '#sign-in', { Name: user.name, Password: user.password });
  return user;
}

export const status = (page, text) => page.getByRole('status').filter({ hasText: text }).first().waitFor();
export const answer = (page) => page.locator('#answer-text').textContent();

/** Until the newest answer that is shown is one to `request`. */
export const answered = (page, request, status = 200) =>
  until(async () => {
    const text = await answer(page);
    return text.startsWith(`${request}\n`) && text.includes(`\n${status}\n`);
  }, `${status} of ${request}`);

export const refreshes = ({ proxy }) => proxy.seen.filter((request) => request === 'POST /refresh').length;

/** A picture in `target/web`; with `UPDATE_SCREENSHOTS=1` also in `docs/images`, if the documents show it. */
export async function screenshot(page, name, options) {
  const path = `${artefacts}${name}.png`;
  await page.screenshot({ path, ...options });
  const shown = fileURLToPath(new URL(`../../../docs/images/${name}.png`, import.meta.url));
  if (process.env.UPDATE_SCREENSHOTS && existsSync(shown)) await copyFile(path, shown);
}

/** Which token of the chain is live. */
export async function generation(page) {
  const live = await page.locator('#tokens [data-state="live"] strong').first().textContent();
  return Number(live.match(/\d+/)[0]);
}

export async function until(condition, what, seconds = 20) {
  for (let tries = seconds * 10; tries > 0; tries -= 1) {
    if (await condition()) return;
    await sleep(100);
  }
  assert.fail(`not within ${seconds} s: ${what}`);
}

const axe = readFile(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

/** What axe objects to; the page must have been opened with `bypassCSP`. */
export async function accessible(page, what) {
  await page.evaluate(await axe);
  const { violations } = await page.evaluate(() => window.axe.run());
  const text = violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html).join(' ')}`);
  assert.deepEqual(text, [], what);
}
