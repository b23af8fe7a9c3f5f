// The reference of the API: openapi.json, rendered by RapiDoc.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { accessible, screenshot, stack, visit } from './world.js';

const contract = JSON.parse(await readFile(new URL('../../../openapi.json', import.meta.url), 'utf8'));
const operations = Object.entries(contract.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, { summary }]) => ({ method, path, summary })),
);
const SIGN_IN = contract.paths['/authenticate'].post.summary;
const REVOCATIONS = contract.paths['/.well-known/revocations'].get.summary;

async function reference(options) {
  const page = await visit(options);
  await page.goto(`${stack.page}/api.html`);
  await page.locator('rapi-doc .nav-bar-path').first().waitFor();
  return page;
}

const links = (page) => page.locator('rapi-doc .nav-bar-path').filter({ visible: true });

test('the reference lists every operation, and nothing comes from elsewhere', async () => {
  const page = await visit();
  const hosts = new Set();
  page.on('request', (request) => hosts.add(new URL(request.url()).host));
  await page.getByRole('link', { name: 'The API' }).click();
  await links(page).first().waitFor();
  const listed = (await links(page).allInnerTexts()).map((text) => text.replace(/\s+/g, ' ').trim());
  const described = operations.map(({ method, summary }) => `${method.toUpperCase()} ${summary}`);
  assert.deepEqual(listed.toSorted(), described.toSorted());
  assert.deepEqual([...hosts], [new URL(stack.page).host]);
  assert.deepEqual(page.errors, []);
});

test('the reference is searched, and an operation has an address of its own', async () => {
  const page = await reference();
  const all = await links(page).count();
  await page.locator('rapi-doc').getByPlaceholder('Filter').fill('revocations');
  await page.keyboard.press('Enter');
  await links(page).nth(1).waitFor({ state: 'detached' });
  assert.ok((await links(page).count()) < all);
  await links(page).first().click();
  await page.getByRole('heading', { name: REVOCATIONS }).waitFor();
  const address = page.url();
  assert.match(address, /#.*revocations/);
  const other = await reference();
  await other.goto(address);
  await other.reload();
  await other.getByRole('heading', { name: REVOCATIONS }).waitFor();
});

test('an operation shows its fields and refusals, and can be tried on this stack', async () => {
  const page = await reference();
  await links(page).filter({ hasText: SIGN_IN }).click();
  await page.getByRole('heading', { name: SIGN_IN }).waitFor();
  for (const status of ['401', '429']) {
    assert.ok(await page.locator('rapi-doc').getByText(status, { exact: true }).count(), status);
  }
  const body = page.locator('rapi-doc textarea').first();
  await body.fill(JSON.stringify({ name: 'ada', password: 'correct horse battery staple' }));
  const answered = page.locator('rapi-doc').getByText(/Response Status: \D*\d+/);
  // Hashing on a busy machine may take longer than an answer may.
  for (let tries = 5; tries; tries -= 1) {
    await page.locator('rapi-doc').getByRole('button', { name: /^try$/i }).click();
    await answered.waitFor();
    if (!/503/.test(await answered.innerText())) break;
  }
  assert.match(await answered.innerText(), /\b200\b/);
  assert.doesNotMatch(await page.locator('body').innerText(), /undefined|\[object|NaN/);
  await screenshot(page, 'api');
  assert.deepEqual(page.errors, []);
});

for (const colorScheme of ['light', 'dark']) {
  test(`axe finds nothing to object to in the reference (${colorScheme})`, async () => {
    const page = await reference({ colorScheme, bypassCSP: true });
    await accessible(page, 'the overview');
    await links(page).filter({ hasText: SIGN_IN }).click();
    await page.getByRole('heading', { name: SIGN_IN }).waitFor();
    await accessible(page, 'an operation');
  });
}

test('the bundle of the reference is the one of its package', async () => {
  await promisify(execFile)(fileURLToPath(new URL('../../../tools/local/page/vendor/verify', import.meta.url)));
});
