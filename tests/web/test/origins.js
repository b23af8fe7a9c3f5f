// Web applications of one's own, on other ports and by either name of this machine.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { stack, status, submit, visit } from './world.js';

const dist = new URL('../../../clients/js/dist/', import.meta.url);
const PAGE = '<!doctype html><html lang="en"><title>An application</title><h1>An application</h1></html>';

/** A front end as a development server would serve it. */
let server;

before(async () => {
  server = createServer(async (request, response) => {
    const module = request.url.match(/^\/client\/([a-z]+\.js)$/)?.[1];
    response.setHeader('content-type', module ? 'text/javascript' : 'text/html');
    response.end(module ? await readFile(new URL(module, dist)) : PAGE);
  });
  await new Promise((resolve) => server.listen(0, 'localhost', resolve));
});

after(() => server?.close());

async function application(host) {
  const page = await visit();
  await page.goto(`http://${host}:${server.address().port}/`);
  return page;
}

/** Signs in with the browser client; `baseUrl` is the API. */
const signIn = (page, baseUrl) =>
  page.evaluate(async (baseUrl) => {
    const { createClient } = await import('/client/index.js');
    const client = createClient({ baseUrl, mode: 'cookie' });
    const credentials = { name: 'ada', password: 'correct horse battery staple' };
    const signedIn = async (tries) => client.signIn(credentials).catch((error) => {
      if (tries && error.code === 'unavailable') return signedIn(tries - 1);
      throw error;
    });
    const { accessToken } = await signedIn(5);
    const users = await client.fetch(`${baseUrl}/users`);
    client.close();
    return { status: users.status, accessToken };
  }, baseUrl);

/** What a reload does: the session is found by its cookie alone. */
const resume = (page, baseUrl) =>
  page.evaluate(async (baseUrl) => {
    const { createClient } = await import('/client/index.js');
    const session = await createClient({ baseUrl, mode: 'cookie' }).resume();
    return session?.accessToken;
  }, baseUrl);

for (const host of ['localhost', '127.0.0.1']) {
  test(`an application on another port of ${host} signs in with a cookie and stays signed in`, async () => {
    // `localhost` may be ::1 or 127.0.0.1; the application listens on one of them.
    if (host === '127.0.0.1' && server.address().family === 'IPv6') {
      await new Promise((resolve) => server.close(resolve));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    }
    const api = `http://${host}:${stack.port}`;
    const page = await application(host);
    const { status: answered, accessToken } = await signIn(page, api);
    assert.equal(answered, 200);
    const [cookie] = await page.context().cookies();
    assert.deepEqual([cookie.domain, cookie.httpOnly, cookie.sameSite], [host, true, 'Strict']);
    await page.reload();
    const next = await resume(page, api);
    assert.ok(next && next !== accessToken);
    assert.deepEqual(page.errors, []);
  });
}

test('an origin that is not on this machine is not allowed', async () => {
  for (const [origin, allowed] of [
    ['http://localhost:5173', 'http://localhost:5173'],
    ['http://127.0.0.1:3000', 'http://127.0.0.1:3000'],
    ['http://localhost.example', null],
    ['https://app.example', null],
    ['null', null],
  ]) {
    const answer = await fetch(`${stack.api}/health`, { headers: { origin } });
    assert.equal(answer.headers.get('access-control-allow-origin'), allowed, origin);
  }
});

test('the page works as localhost too, with a cookie', async () => {
  const page = await visit();
  await page.goto(`${stack.page.replace('127.0.0.1', 'localhost')}/`);
  await page.getByRole('radio', { name: /in a cookie/ }).check();
  await submit(page, () => page.getByRole('button', { name: 'Sign in', exact: true }).click(), /Signed in/);
  await page.reload();
  await status(page, /Signed in/);
  assert.deepEqual((await page.context().cookies()).map(({ domain }) => domain), ['localhost']);
});
