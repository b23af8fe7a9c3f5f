// OpenAuth (npm), a library for serverless functions.

import { form } from '../lib/http.js';
import { codeFlow } from './node/code_flow.js';
import { installNpm, startNode, versionOf } from './node/launch.js';

const DAY = 86_400;

async function start(row, { home }) {
  const node = await startNode(home, { STORE_MS: '3' });
  const { url } = node;
  return {
    version: versionOf(home, '@openauthjs/openauth'),
    configuration: row.configuration,
    time: node.time,
    storeCalls: node.storeCalls,
    processes: () => [node.child.pid],
    lifetimes: { idle: 365 * DAY },
    otherClient: 'two',
    async signIn() {
      const tokens = await codeFlow({
        authorize: `${url}/authorize`,
        token: `${url}/token`,
        client: 'one',
        redirect: 'http://127.0.0.1:9/callback',
      });
      return { ...tokens, client: 'one' };
    },
    request: {
      refresh: (refreshToken, session) =>
        form(`${url}/token`, { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: session.client }),
      resource: (accessToken) => ({ url: `${url}/resource`, headers: { authorization: `Bearer ${accessToken}` } }),
      metadata: () => `${url}/.well-known/oauth-authorization-server`,
    },
    stop: () => node.child.stop(),
  };
}

export default {
  id: 'openauth',
  rows: [
    {
      id: 'openauth',
      name: 'OpenAuth',
      configuration:
        'defaults (reuse for 60 s), its store in memory with 3 ms a call; the resource verifies by the library’s client.',
    },
  ],
  install: (home) => installNpm('openauth', home),
  start,
};
