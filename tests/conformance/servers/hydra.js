// Ory Hydra, compiled as a tool of a Go module, on a PostgreSQL of its own.

import { randomUUID } from 'node:crypto';
import { copyFileSync, existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { tcpProxy } from '../lib/counting_proxy.js';
import { CookieJar, form, jsonBody, send } from '../lib/http.js';
import { Child, freePort, runToEnd } from '../lib/process.js';
import { codeRequest, redeem } from './node/code_flow.js';
import { startPostgres } from './postgres.js';

const here = fileURLToPath(new URL('./hydra', import.meta.url));
const REDIRECT = 'http://127.0.0.1:9/callback';
const [LOGIN, CONSENT] = ['http://127.0.0.1:9/login', 'http://127.0.0.1:9/consent'];
const SHORT = 25;

async function install(home) {
  const program = join(home, 'hydra');
  const same = existsSync(program) && readFileSync(join(here, 'go.sum')).equals(readFileSync(join(home, 'go.sum')));
  for (const file of ['go.mod', 'go.sum']) copyFileSync(join(here, file), join(home, file));
  if (!same) await runToEnd(['go', 'build', '-o', 'hydra', 'github.com/ory/hydra/v2'], { cwd: home, seconds: 3600 });
}

async function start(row, { home }) {
  const postgres = await startPostgres(home);
  const proxy = await tcpProxy(postgres.port);
  const [publicPort, adminPort] = [await freePort(), await freePort()];
  const [url, admin] = [`http://127.0.0.1:${publicPort}`, `http://127.0.0.1:${adminPort}/admin`];
  const env = {
    DSN: `postgres://kit@127.0.0.1:${proxy.port}/kit?sslmode=disable`,
    URLS_SELF_ISSUER: url,
    URLS_LOGIN: LOGIN,
    URLS_CONSENT: CONSENT,
    SERVE_PUBLIC_HOST: '127.0.0.1',
    SERVE_PUBLIC_PORT: String(publicPort),
    SERVE_ADMIN_HOST: '127.0.0.1',
    SERVE_ADMIN_PORT: String(adminPort),
    SECRETS_SYSTEM: randomUUID(),
    LOG_LEVEL: 'error',
    // Reports nothing to anybody.
    SQA_OPT_OUT: 'true',
    ...row.env,
  };
  const program = join(home, 'hydra');
  let child;
  const serve = async () => {
    child = new Child([program, 'serve', 'all', '--dev', '--sqa-opt-out'], {
      log: join(home, 'hydra.log'),
      cwd: home,
      env,
    });
    await child.until(
      async () => (await send({ url: `http://127.0.0.1:${adminPort}/health/ready` })).status === 200,
      180,
    );
  };
  const stop = async () => {
    await child?.stop();
    await proxy.stop();
    await postgres.stop();
  };
  try {
    await runToEnd([program, 'migrate', 'sql', '--yes', '--read-from-env'], { cwd: home, env, seconds: 300 });
    await serve();
  } catch (error) {
    await stop();
    throw error;
  }

  async function createClient(lifespans = {}) {
    const answer = await send(
      jsonBody(`${admin}/clients`, {
        redirect_uris: [REDIRECT],
        grant_types: ['authorization_code', 'refresh_token'],
        response_types: ['code'],
        scope: 'openid offline_access',
        token_endpoint_auth_method: 'none',
        ...lifespans,
      }),
    );
    if (answer.status !== 201) throw new Error(`client: ${answer.status} ${answer.text}`);
    return answer.json.client_id;
  }

  const short = Object.fromEntries(
    [
      'authorization_code_grant_refresh_token',
      'refresh_token_grant_refresh_token',
      'authorization_code_grant_access_token',
      'refresh_token_grant_access_token',
    ].map((name) => [`${name}_lifespan`, `${SHORT}s`]),
  );
  const [client, otherClient, shortClient] = [await createClient(), await createClient(), await createClient(short)];

  async function accept(kind, challenge, body) {
    const answer = await send(
      jsonBody(
        `${admin}/oauth2/auth/requests/${kind}/accept?${kind}_challenge=${encodeURIComponent(challenge)}`,
        body,
        {},
        'PUT',
      ),
    );
    if (!answer.json?.redirect_to) throw new Error(`${kind}: ${answer.status} ${answer.text}`);
    return answer.json.redirect_to;
  }

  return {
    version: 'v2.3.0',
    configuration: row.configuration,
    storeCalls: async () => proxy.calls(),
    processes: () => [child.pid],
    // It makes its RSA keys when they are first asked for.
    timeout: 60_000,
    shortLifetimes: { idle: SHORT },
    otherClient,
    crash: { kill: () => child.kill(), restart: serve },
    async signIn({ user = randomUUID(), lifetimes }) {
      const mine = lifetimes === 'short' ? shortClient : client;
      const jar = new CookieJar();
      const { url: begin, verifier } = codeRequest({
        authorize: `${url}/oauth2/auth`,
        client: mine,
        redirect: REDIRECT,
        scope: 'openid offline_access',
      });
      const login = await jar.follow({ url: begin }, LOGIN);
      const afterLogin = await accept('login', login.searchParams.get('login_challenge'), { subject: user });
      const consent = await jar.follow({ url: afterLogin }, CONSENT);
      const afterConsent = await accept('consent', consent.searchParams.get('consent_challenge'), {
        grant_scope: ['openid', 'offline_access'],
      });
      const back = await jar.follow({ url: afterConsent }, REDIRECT);
      return {
        user,
        client: mine,
        ...(await redeem({ token: `${url}/oauth2/token`, client: mine, redirect: REDIRECT, verifier, back })),
      };
    },
    ends: {
      everywhere: async ({ user }) =>
        (await send({ url: `${admin}/oauth2/auth/sessions/consent?all=true&subject=${user}`, method: 'DELETE' }))
          .status === 204,
    },
    async rotateKeys() {
      const answer = await send(
        jsonBody(`${admin}/keys/hydra.openid.id-token`, { alg: 'RS256', use: 'sig', kid: randomUUID() }),
      );
      if (answer.status !== 201) throw new Error(`keys: ${answer.status} ${answer.text}`);
    },
    request: {
      refresh: (token, session) =>
        form(`${url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: token, client_id: session.client }),
      revoke: (token, session) => form(`${url}/oauth2/revoke`, { token, client_id: session.client }),
      introspect: (token) => form(`${admin}/oauth2/introspect`, { token }),
      resource: (token) => ({ url: `${url}/userinfo`, headers: { authorization: `Bearer ${token}` } }),
      metadata: () => `${url}/.well-known/openid-configuration`,
    },
    stop,
  };
}

const setUp = 'public client, opaque access tokens, PostgreSQL';

export default {
  id: 'hydra',
  rows: [
    { id: 'hydra', name: 'Ory Hydra', env: {}, configuration: `${setUp}, defaults.` },
    {
      id: 'hydra-grace',
      name: 'Ory Hydra, grace',
      env: { OAUTH2_GRANT_REFRESH_TOKEN_ROTATION_GRACE_PERIOD: '60s' },
      configuration: `${setUp}, \`rotation_grace_period: 60s\`.`,
    },
  ],
  install,
  start,
};
