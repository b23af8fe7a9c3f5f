// Keycloak, its distribution from Maven Central in development mode, with a realm for each row.

import { randomUUID } from 'node:crypto';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';

import { proof } from '../lib/dpop.js';
import { basic, form, jsonBody, send } from '../lib/http.js';
import { Child, freePort, runToEnd } from '../lib/process.js';

const VERSION = '26.7.3';
const COPY = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy';
const REALM = 'kit';
const SHORT = { idle: 20, absolute: 50 };

const distribution = (home) => join(home, `keycloak-${VERSION}`);

async function install(home) {
  if (existsSync(join(distribution(home), 'bin/kc.sh'))) return;
  const zip = `keycloak-quarkus-dist-${VERSION}.zip`;
  if (!existsSync(join(home, zip))) {
    await runToEnd(
      [
        'mvn',
        '-q',
        '-B',
        COPY,
        `-Dartifact=org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`,
        `-DoutputDirectory=${home}`,
      ],
      { cwd: home, seconds: 1800 },
    );
  }
  await runToEnd(['unzip', '-q', '-o', zip], { cwd: home, seconds: 300 });
}

async function start(row, { home }) {
  const port = await freePort();
  const management = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const password = randomUUID();
  // Every row begins with an empty database.
  rmSync(join(distribution(home), 'data'), { recursive: true, force: true });
  let child;
  const serve = async () => {
    const options = [
      '--http-host=127.0.0.1',
      `--http-port=${port}`,
      `--http-management-port=${management}`,
      '--cache=local',
    ];
    child = new Child([join(distribution(home), 'bin/kc.sh'), 'start-dev', ...options], {
      log: join(home, 'keycloak.log'),
      cwd: home,
      env: { KC_BOOTSTRAP_ADMIN_USERNAME: 'admin', KC_BOOTSTRAP_ADMIN_PASSWORD: password, JAVA_OPTS_APPEND: '-Xmx1g' },
    });
    await child.until(async () => (await send({ url: `${url}/realms/master` }, { timeout: 5000 })).status === 200, 900);
  };
  try {
    await serve();
    return await setUp({ row, url, password, serve, child: () => child });
  } catch (error) {
    await child.stop();
    throw error;
  }
}

async function setUp({ row, url, password, serve, child }) {
  let admin;
  async function administer(path, body, method = 'POST') {
    for (let attempt = 0; attempt < 2; attempt += 1) {
      if (!admin) {
        const answer = await send(
          form(`${url}/realms/master/protocol/openid-connect/token`, {
            grant_type: 'password',
            client_id: 'admin-cli',
            username: 'admin',
            password,
          }),
        );
        admin = answer.json?.access_token;
        if (!admin) throw new Error(`administrator: ${answer.status} ${answer.text}`);
      }
      const answer = await send(
        jsonBody(`${url}/admin/realms${path}`, body ?? {}, { authorization: `Bearer ${admin}` }, method),
      );
      if (answer.status !== 401) {
        if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${answer.text}`);
        return answer;
      }
      // Its access token lives a minute.
      admin = undefined;
    }
    throw new Error(`${method} ${path}: refused`);
  }

  // `sslRequired` concerns other addresses than loopback; the rest of a realm is as it comes.
  await administer('', { realm: REALM, enabled: true, ...row.realm });
  const realm = (await administer(`/${REALM}`, undefined, 'GET')).json;
  const secret = randomUUID();
  const client = (id, more = {}) =>
    administer(`/${REALM}/clients`, {
      clientId: id,
      publicClient: true,
      directAccessGrantsEnabled: true,
      standardFlowEnabled: false,
      ...more,
    });
  await client('one');
  await client('two');
  await client('api', { publicClient: false, secret });
  await client('short', {
    attributes: {
      'client.session.idle.timeout': String(SHORT.idle),
      'client.session.max.lifespan': String(SHORT.absolute),
      'access.token.lifespan': '12',
    },
  });
  const endpoint = (name) => `${url}/realms/${REALM}/protocol/openid-connect/${name}`;

  async function register() {
    const user = { name: `u${randomUUID()}`, password: 'a sentence that nobody guesses' };
    const created = await administer(`/${REALM}/users`, {
      username: user.name,
      email: `${user.name}@example.com`,
      emailVerified: true,
      firstName: 'Some',
      lastName: 'Body',
      enabled: true,
      credentials: [{ type: 'password', value: user.password, temporary: false }],
    });
    user.id = created.headers.location.split('/').at(-1);
    return user;
  }

  const proofs = (key, target) => (key ? { dpop: proof(key, target) } : {});
  const token = endpoint('token');
  return {
    version: VERSION,
    configuration: row.configuration,
    note: row.note,
    // It counts in whole seconds, and takes what happens within one for simultaneous.
    gap: 1.1,
    processes: () => [child().pid],
    shortLifetimes: SHORT,
    otherClient: 'two',
    dpop: true,
    crash: { kill: () => child().kill(), restart: serve, rounds: 4 },
    async signIn({ user, dpop: key, lifetimes }) {
      user ??= await register();
      const mine = lifetimes === 'short' ? 'short' : 'one';
      const fields = {
        grant_type: 'password',
        client_id: mine,
        username: user.name,
        password: user.password,
        scope: 'openid',
      };
      const answer = await send(form(token, fields, proofs(key, { method: 'POST', url: token })));
      if (!answer.json?.refresh_token) throw new Error(`sign-in: ${answer.status} ${answer.text}`);
      return { user, client: mine, dpop: key, ...answer.json };
    },
    ends: {
      everywhere: async ({ user }) => (await administer(`/${REALM}/users/${user.id}/logout`)).status === 204,
      async password({ user }) {
        const next = `another ${randomUUID()}`;
        const { status } = await administer(
          `/${REALM}/users/${user.id}/reset-password`,
          { type: 'password', value: next, temporary: false },
          'PUT',
        );
        if (status === 204) user.password = next;
        return status === 204;
      },
    },
    async rotateKeys() {
      await administer(`/${REALM}/components`, {
        name: randomUUID(),
        providerId: 'rsa-generated',
        providerType: 'org.keycloak.keys.KeyProvider',
        parentId: realm.id,
        config: { priority: [String(Math.floor(Date.now() / 1000))], keySize: ['2048'], algorithm: ['RS256'] },
      });
    },
    request: {
      refresh: (refreshToken, session) =>
        form(
          token,
          { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: session.client },
          proofs(session.dpop, { method: 'POST', url: token }),
        ),
      revoke: (refreshToken, session) => form(endpoint('revoke'), { token: refreshToken, client_id: session.client }),
      introspect: (refreshToken) => form(endpoint('token/introspect'), { token: refreshToken }, basic('api', secret)),
      resource: (accessToken, session) => ({
        url: endpoint('userinfo'),
        headers: {
          authorization: `${session?.dpop ? 'DPoP' : 'Bearer'} ${accessToken}`,
          ...proofs(session?.dpop, { method: 'GET', url: endpoint('userinfo'), accessToken }),
        },
      }),
      metadata: () => `${url}/realms/${REALM}/.well-known/openid-configuration`,
    },
    stop: () => child().stop(20_000),
  };
}

const common = 'development mode on its own database, public client';

export default {
  id: 'keycloak',
  rows: [
    {
      id: 'keycloak',
      name: 'Keycloak, rotation on',
      realm: { revokeRefreshToken: true, refreshTokenMaxReuse: 0 },
      configuration: `${common}, \`revokeRefreshToken: true, refreshTokenMaxReuse: 0\`.`,
    },
    {
      id: 'keycloak-default',
      name: 'Keycloak',
      realm: {},
      configuration: `${common}, defaults: refresh tokens are not rotated.`,
    },
  ],
  install,
  start,
};
