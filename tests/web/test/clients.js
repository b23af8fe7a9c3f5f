// Clients that are not ours: an OAuth library, and the README's lines for curl.

import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';

import newman from 'newman';
import * as oauth from 'oauth4webapi';

import { startStack } from './stack.js';

/** With tokens that last longer than a test. */
let stack;

before(async () => {
  stack = await startStack();
});

after(async () => {
  await stack?.stop();
});

test('oauth4webapi refreshes and revokes', async () => {
  const server = {
    issuer: stack.api,
    token_endpoint: `${stack.api}/oauth2/token`,
    revocation_endpoint: `${stack.api}/oauth2/revoke`,
  };
  const client = { client_id: 'first-party' };
  const options = { [oauth.allowInsecureRequests]: true };
  const signIn = await fetch(`${stack.api}/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'ada', password: 'correct horse battery staple' }),
  });
  const { refresh_token: first } = await signIn.json();

  const refresh = async (token) =>
    oauth.processRefreshTokenResponse(
      server,
      client,
      await oauth.refreshTokenGrantRequest(server, client, oauth.None(), token, options),
    );
  const pair = await refresh(first);
  assert.equal(pair.token_type, 'bearer');
  assert.notEqual(pair.refresh_token, first);
  const users = await fetch(`${stack.api}/users`, { headers: { authorization: `Bearer ${pair.access_token}` } });
  assert.equal(users.status, 200);

  await oauth.processRevocationResponse(
    await oauth.revocationRequest(server, client, oauth.None(), pair.refresh_token, options),
  );
  await assert.rejects(refresh(pair.refresh_token), { error: 'invalid_grant', error_description: 'revoked' });
});

test('the lines for curl in the README do what it says', async () => {
  const readme = await readFile(new URL('../../../README.md', import.meta.url), 'utf8');
  const lines = readme.match(/### With curl\n[\s\S]*?```sh\n([\s\S]*?)```/)[1];
  assert.match(lines, /http:\/\/127\.0\.0\.1:9000/);
  const script = `set -eu\n${lines.replaceAll('http://127.0.0.1:9000', stack.api)}`;
  const { stdout } = await promisify(execFile)('sh', ['-c', script]);
  const [before, after, loggedOut] = stdout.trim().split('\n');
  assert.match(before, /^\{"users":\[.*"name":"ada"/);
  assert.match(after, /^\{"users":\[.*"name":"ada"/);
  assert.equal(loggedOut, '204');
});

test('the collection for Postman runs: a session from sign-in to log-out, then the rest', async () => {
  const collection = JSON.parse(
    await readFile(new URL('../../contract/ratchet.postman_collection.json', import.meta.url), 'utf8'),
  );
  const envVar = [{ key: 'base_url', value: stack.api }];
  const { run } = await promisify(newman.run)({ collection, envVar });
  const failures = run.failures.map(({ source, error }) => `${source?.name}: ${error.message}`);
  assert.deepEqual(failures, []);
  const answers = run.executions.map(({ item, response }) => `${item.request.method} ${item.request.url.getPath()} ${response.code}`);
  assert.deepEqual(answers.slice(0, 6), [
    'POST /authenticate 200',
    'POST /refresh 200',
    'GET /users 200',
    'GET /users/me 200',
    'GET /users/me/sessions 200',
    'POST /logout 204',
  ]);
  const requests = collection.item.flatMap(({ item }) => item);
  assert.equal(run.stats.assertions.total, requests.length, 'every answer is looked at');
});
