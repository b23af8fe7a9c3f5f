// Ratchet's local stack (`cargo local`), with a proxy that counts in front of DynamoDB Local.

import { randomUUID } from 'node:crypto';
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';

import { httpProxy } from '../lib/counting_proxy.js';
import { proof } from '../lib/dpop.js';
import { form, jsonBody, send } from '../lib/http.js';
import { Child, freePort, runToEnd, sleep } from '../lib/process.js';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const DAY = 86_400;
/** `cargo local` gives its functions this as access key id; DynamoDB Local keeps tables by it. */
const CREDENTIAL = 'local';

async function startDynamoDb(home) {
  const installed = join(root, 'target/local/dynamodb');
  const port = await freePort();
  const java = process.env.JAVA_HOME ? join(process.env.JAVA_HOME, 'bin/java') : 'java';
  const classPath = `${installed}/classes:${installed}/jars/*`;
  const options = [
    '-XX:TieredStopAtLevel=1',
    '-XX:+UseSerialGC',
    '-inMemory',
    '-disableTelemetry',
    '-port',
    String(port),
  ];
  const [virtualMachine, own] = [options.slice(0, 2), options.slice(2)];
  const child = new Child([java, '-cp', classPath, ...virtualMachine, 'Loopback', ...own], {
    log: join(home, 'dynamodb.log'),
    cwd: home,
  });
  await child.until(() => send({ url: `http://127.0.0.1:${port}/` }, { timeout: 5000 }), 180);
  return { port, child };
}

class DynamoDb {
  constructor(port) {
    this.url = `http://127.0.0.1:${port}/`;
  }

  async call(operation, input) {
    const answer = await send(
      jsonBody(this.url, input, {
        'content-type': 'application/x-amz-json-1.0',
        'x-amz-target': `DynamoDB_20120810.${operation}`,
        authorization: `AWS4-HMAC-SHA256 Credential=${CREDENTIAL}/20260101/us-east-1/dynamodb/aws4_request, SignedHeaders=host, Signature=0`,
      }),
    );
    if (answer.status !== 200) throw new Error(`${operation}: ${answer.text}`);
    return answer.json;
  }

  /** Makes a session look this many seconds older. */
  async age(table, refreshToken, seconds) {
    const bytes = Buffer.from(refreshToken.replace(/^rt1_/, ''), 'base64url');
    const binary = (from, to) => ({ B: bytes.subarray(from, to).toString('base64') });
    const key = { user_id: binary(0, 16), session_id: binary(16, 32) };
    const { Item: item } = await this.call('GetItem', { TableName: table, Key: key, ConsistentRead: true });
    if (!item) return;
    const earlier = (number, by) => ({ N: String(BigInt(number.N) - BigInt(Math.round(by))) });
    for (const name of ['expires_at', 'absolute_expires_at']) item[name] = earlier(item[name], seconds);
    for (const slot of ['superseded_1', 'superseded_2', 'superseded_3', 'superseded_4']) {
      if (item[slot]?.M?.at_ms) item[slot].M.at_ms = earlier(item[slot].M.at_ms, seconds * 1000);
    }
    await this.call('PutItem', { TableName: table, Item: item });
  }
}

/** The instances of a function of our own stack: those with our table in their environment. */
function instances(name, table) {
  const found = [];
  for (const pid of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const program = readlinkSync(`/proc/${pid}/exe`);
      if (basename(program) !== name) continue;
      const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean);
      if (!environment.includes(`RATCHET_TOKENS_TABLE=${table}`)) continue;
      const variables = Object.fromEntries(
        environment.map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
      );
      found.push({ pid: Number(pid), program, variables, cwd: readlinkSync(`/proc/${pid}/cwd`) });
    } catch {
      // It has ended meanwhile, or is somebody else's.
    }
  }
  return found;
}

async function start(row, { home }) {
  const dynamodb = await startDynamoDb(home);
  const proxy = await httpProxy(dynamodb.port, (request) =>
    String(request.headers['x-amz-target']).startsWith('DynamoDB_20120810.'),
  );
  const log = join(home, `stack-${randomUUID()}.log`);
  const child = new Child(['cargo', 'local', '--port', '0', '--page-port', '0', ...row.options], {
    log,
    cwd: root,
    env: { AWS_ENDPOINT_URL_DYNAMODB: `http://127.0.0.1:${proxy.port}` },
  });
  const stop = async () => {
    await child.stop(20_000);
    await Promise.all(replaced.map((one) => one.stop()));
    await proxy.stop();
    await dynamodb.child.stop();
  };
  const replaced = [];
  try {
    await child.until(() => readFileSync(log, 'utf8').includes('Ctrl-C stops everything'), 1200);
  } catch (error) {
    await stop();
    throw error;
  }
  const text = readFileSync(log, 'utf8');
  const [, url, page] = text.match(/Ratchet is up at ([^,\s]+), with a page to try it at (\S+)/);
  const database = new DynamoDb(dynamodb.port);
  const { TableNames: tables } = await database.call('ListTables', {});
  const table = tables.find((name) => name.endsWith('-TokensTable'));

  /** Registers a user and confirms the address from the message. */
  async function register() {
    const name = `u${randomUUID().slice(0, 8)}`;
    const email = `${name}@example.com`;
    const password = 'a sentence that nobody guesses';
    const answer = await send(jsonBody(`${url}/users`, { name, email, password }));
    if (answer.status !== 202) throw new Error(`POST /users: ${answer.status} ${answer.text}`);
    const token = await child.until(async () => {
      const { json } = await send({ url: `${page}/mail.json` });
      return json.messages.find(({ to }) => to === email)?.text.match(/rm1_[\w-]+/)?.[0];
    }, 30);
    const confirmed = await send(jsonBody(`${url}/users/confirm-email`, { token }));
    if (confirmed.status !== 204) throw new Error(`POST /users/confirm-email: ${confirmed.status} ${confirmed.text}`);
    return { name, password };
  }

  // Several users: the oldest session of one with fifty makes room for the next.
  const people = await Promise.all(Array.from({ length: 4 }, register));
  let turn = 0;

  /** A nonce for the next proofs. Every response to a request with a proof has one. */
  async function nonce() {
    const probe = form(`${url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: 'x' }, { dpop: 'x' });
    return (await send(probe)).headers['dpop-nonce'];
  }

  async function proofs(key, target) {
    return key ? { dpop: proof(key, { ...target, nonce: await nonce() }) } : {};
  }

  async function signIn({ user = people[(turn += 1) % people.length], dpop: key }) {
    for (let attempt = 0; ; attempt += 1) {
      const target = `${url}/authenticate`;
      const headers = await proofs(key, { method: 'POST', url: target });
      const answer = await send(jsonBody(target, { name: user.name, password: user.password }, headers));
      if (answer.status === 200) return { user, dpop: key, ...answer.json };
      if (answer.status < 500 || attempt === 5) throw new Error(`POST /authenticate: ${answer.status} ${answer.text}`);
      await sleep(300);
    }
  }

  const bearer = (session) => ({ authorization: `Bearer ${session.access_token}` });
  return {
    version: (await send({ url: `${url}/health` })).json.version,
    configuration: row.configuration,
    // The emulator hangs for good when a hundred requests wait for one function.
    mostInFlight: 64,
    timeout: 20_000,
    time: { perSession: true, pass: (seconds, session) => database.age(table, session.refresh_token, seconds) },
    lifetimes: { idle: 30 * DAY, absolute: 90 * DAY },
    storeCalls: async () => proxy.calls(),
    // The functions that refresh; not the emulator, nor DynamoDB Local.
    processes: () => instances('refresh', table).map(({ pid }) => pid),
    signIn,
    ends: {
      everywhere: async (session) =>
        (await send({ url: `${url}/users/me/sessions`, method: 'DELETE', headers: bearer(session) })).status === 204,
      async password(session) {
        const { user } = session;
        const next = `another sentence ${randomUUID()}`;
        const { status } = await send(
          jsonBody(`${url}/users/me/password`, { current: user.password, new: next }, bearer(session)),
        );
        if (status === 204) user.password = next;
        return status === 204;
      },
    },
    async rotateKeys() {
      await runToEnd(
        ['cargo', 'local', '--port', new URL(url).port, 'keys', 'rotate', '--now'],
        { cwd: root, seconds: 60 },
      );
    },
    crash: {
      // What Lambda does after a crash: a new environment takes the next request.
      timeout: 3000,
      async kill() {
        const killed = instances('refresh', table);
        for (const { pid } of killed) process.kill(pid, 'SIGKILL');
        this.killed = killed;
      },
      async restart() {
        for (const { program, variables, cwd } of this.killed) {
          replaced.push(new Child([program], { log: join(home, 'refresh.log'), cwd, env: variables }));
        }
        const probe = form(`${url}/oauth2/token`, { grant_type: 'refresh_token', refresh_token: 'x' });
        await child.until(async () => (await send(probe, { timeout: 2000 })).status === 400, 60);
      },
    },
    dpop: true,
    nonce,
    request: {
      async refresh(token, session) {
        const target = `${url}/oauth2/token`;
        const headers = await proofs(session?.dpop, { method: 'POST', url: target });
        return form(target, { grant_type: 'refresh_token', refresh_token: token }, headers);
      },
      revoke: (token) => form(`${url}/oauth2/revoke`, { token }),
      async resource(token, session) {
        const target = `${url}/users`;
        const key = session?.dpop;
        const headers = await proofs(key, { method: 'GET', url: target, accessToken: token });
        return { url: target, headers: { authorization: `${key ? 'DPoP' : 'Bearer'} ${token}`, ...headers } };
      },
      metadata: () => `${url}/.well-known/oauth-authorization-server`,
    },
    stop,
  };
}

export default {
  id: 'ratchet',
  rows: [
    {
      id: 'ratchet',
      name: 'Ratchet',
      options: ['--access-token-seconds', '30'],
      configuration:
        '`cargo local` on DynamoDB Local: the template’s defaults (retry window 60 s), but access tokens of 30 s. Time is moved in the session’s item.',
    },
  ],
  async install() {
    await runToEnd(['cargo', 'local', 'install'], { cwd: root, seconds: 1800, env: { AWS_ENDPOINT_URL_DYNAMODB: '' } });
    await runToEnd(['cargo', 'build', '--quiet', '-p', 'ratchet-cli'], { cwd: root, seconds: 1800 });
  },
  start,
};
