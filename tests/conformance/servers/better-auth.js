// better-auth (npm) with its OAuth provider.

import { randomUUID } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';

import { CookieJar, form, jsonBody } from '../lib/http.js';
import { codeRequest, redeem } from './node/code_flow.js';
import { installNpm, startNode, versionOf } from './node/launch.js';

const DAY = 86_400;
const REDIRECT = 'https://app.example.com/callback';

async function start(row, { home }) {
  mkdirSync(join(home, 'data'), { recursive: true });
  const env = {
    ...row.env,
    SECRET: randomUUID() + randomUUID(),
    DATABASE: join(home, 'data', `${randomUUID()}.sqlite`),
  };
  let node = await startNode(home, env);
  const base = `${node.url}/api/auth`;
  const origin = { origin: node.url };

  async function register() {
    const jar = new CookieJar();
    const user = { jar, email: `${randomUUID()}@example.com`, password: `a sentence ${randomUUID()}` };
    const answer = await jar.send(
      jsonBody(`${base}/sign-up/email`, { name: 'somebody', email: user.email, password: user.password }, origin),
    );
    if (answer.status !== 200) throw new Error(`sign-up: ${answer.status} ${answer.text}`);
    return user;
  }

  const owner = await register();
  const created = [];
  for (let index = 0; index < 2; index += 1) {
    const answer = await owner.jar.send({ url: `${node.url}/clients`, method: 'POST' });
    if (!answer.json?.client_id) throw new Error(`no client: ${answer.status} ${answer.text}`);
    created.push(answer.json.client_id);
  }
  const [client, otherClient] = created;

  return {
    version: versionOf(home, 'better-auth'),
    configuration: row.configuration,
    note: 'Its reuse detection ends every session of the user at the client, so each session has a user of its own.',
    // The library keeps times in whole seconds.
    time: { pass: (seconds) => node.time.pass(seconds) },
    storeCalls: () => node.storeCalls(),
    processes: () => [node.child.pid],
    lifetimes: { idle: 30 * DAY },
    otherClient,
    crash: {
      kill: () => node.child.kill(),
      async restart() {
        node = await startNode(home, env, node.ports);
      },
    },
    async signIn({ user }) {
      user ??= await register();
      const { url, verifier } = codeRequest({
        authorize: `${base}/oauth2/authorize`,
        client,
        redirect: REDIRECT,
        scope: 'openid offline_access',
      });
      const back = await user.jar.follow({ url }, REDIRECT);
      return {
        user,
        client,
        ...(await redeem({ token: `${base}/oauth2/token`, client, redirect: REDIRECT, verifier, back })),
      };
    },
    ends: {
      everywhere: async ({ user }) =>
        (await user.jar.send(jsonBody(`${base}/revoke-sessions`, {}, origin))).status === 200,
      async password({ user }) {
        const next = `another ${randomUUID()}`;
        const body = { currentPassword: user.password, newPassword: next, revokeOtherSessions: true };
        const { status } = await user.jar.send(jsonBody(`${base}/change-password`, body, origin));
        if (status === 200) user.password = next;
        return status === 200;
      },
    },
    request: {
      refresh: (token, session) =>
        form(`${base}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: token, client_id: session.client }),
      revoke: (token, session) => form(`${base}/oauth2/revoke`, { token, client_id: session.client }),
      resource: (token) => ({ url: `${base}/oauth2/userinfo`, headers: { authorization: `Bearer ${token}` } }),
      metadata: () => `${node.url}/.well-known/oauth-authorization-server/api/auth`,
    },
    stop: () => node.child.stop(),
  };
}

const setUp = 'public client, opaque access tokens, SQLite in a file';

export default {
  id: 'better-auth',
  rows: [
    { id: 'better-auth', name: 'better-auth', env: {}, configuration: `${setUp}, defaults.` },
    {
      id: 'better-auth-interval',
      name: 'better-auth, reuse interval',
      env: { REUSE_INTERVAL: '60' },
      configuration: `${setUp}, \`refreshTokenReuseInterval: 60\`.`,
    },
  ],
  install: (home) => installNpm('better-auth', home, ['better-sqlite3']),
  start,
};
