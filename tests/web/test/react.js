// The application of the guide for React: served by Vite, with the protected API of the guide for Express.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { cp, mkdir } from 'node:fs/promises';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { artefacts } from './stack.js';
import { stack, until, visit } from './world.js';

const path = (relative) => fileURLToPath(new URL(relative, import.meta.url));
const react = path('../react');
const express = `${artefacts}express`;
const processes = [];
let application;

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function start(command, args, cwd, environment) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...environment }, stdio: ['ignore', 'inherit', 'inherit'] });
  processes.push(child);
}

const answers = (url) => fetch(url).then(() => true, () => false);

// In a suite, because hooks outside of one would not wait for the stack.
describe('the application of the guide', () => {
  before(async () => {
    await mkdir(express, { recursive: true });
    await cp(path('../../interop/services/express'), express, { recursive: true });
    const install = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
    for (const cwd of [react, express]) await promisify(execFile)('npm', install, { cwd });
    const [port, api] = [await freePort(), await freePort()];
    application = `http://localhost:${port}`;
    start('node', ['service.mjs'], express, {
      ISSUER: stack.api, AUDIENCE: 'ratchet', ORIGIN: application, PORT: api,
    });
    start('node', ['node_modules/vite/bin/vite.js', '--port', String(port)], react, {
      VITE_RATCHET: `http://localhost:${stack.port}`, VITE_API: `http://127.0.0.1:${api}`,
    });
    await until(() => answers(application), 'Vite', 60);
    await until(() => answers(`http://127.0.0.1:${api}/whoami`), 'the API', 60);
  });

  after(() => {
    for (const child of processes) child.kill();
  });

  test('signs in, calls its own API, and stays signed in over a reload and in a second tab', async () => {
    const page = await visit();
    await page.goto(application);
    await page.getByLabel('Name').fill('ada');
    await page.getByLabel('Password').fill('a wrong password');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('alert').filter({ hasText: /./ }).waitFor();
    await page.getByLabel('Password').fill('correct horse battery staple');
    for (let tries = 5; !(await page.getByText('The API knows you as').count()) && tries; tries -= 1) {
      await page.getByRole('button', { name: 'Sign in' }).click();
      await page.getByText('The API knows you as').or(page.getByRole('alert')).first().waitFor();
    }
    await page.getByText('The API knows you as').waitFor();
    assert.match(await page.locator('code').textContent(), /^[0-9a-f-]{36}$/);

    await page.reload();
    await page.getByText('The API knows you as').waitFor();
    const second = await page.context().newPage();
    await second.goto(application);
    await second.getByText('The API knows you as').waitFor();

    await page.getByRole('button', { name: 'Sign out' }).click();
    for (const tab of [page, second]) await tab.getByRole('heading', { name: 'Sign in' }).waitFor();
    assert.deepEqual(page.errors, []);
  });
});
