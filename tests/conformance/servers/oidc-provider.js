// oidc-provider (npm), a library: its users bring the store, and with it decide what is atomic.

import { proof } from '../lib/dpop.js';
import { form } from '../lib/http.js';
import { codeFlow } from './node/code_flow.js';
import { installNpm, startNode, versionOf } from './node/launch.js';

const DAY = 86_400;
const CLIENT = 'one';

async function start(row, { home }) {
  const node = await startNode(home, row.env);
  const { url } = node;
  const [token, resource] = [`${url}/token`, `${url}/me`];
  const proofs = (key, target) => (key ? { dpop: proof(key, target) } : {});
  return {
    version: versionOf(home, 'oidc-provider'),
    configuration: row.configuration,
    time: node.time,
    storeCalls: node.storeCalls,
    processes: () => [node.child.pid],
    // Refresh tokens and grants live 14 days; only the former anew with each rotation.
    lifetimes: { idle: 14 * DAY, absolute: 14 * DAY },
    otherClient: 'two',
    dpop: true,
    async signIn({ dpop: key }) {
      const tokens = await codeFlow({
        authorize: `${url}/auth`,
        token,
        client: CLIENT,
        redirect: 'http://127.0.0.1:9/callback',
        scope: 'openid offline_access',
        prompt: 'consent',
        dpop: proofs(key, { method: 'POST', url: token }),
      });
      return { ...tokens, client: CLIENT, dpop: key };
    },
    request: {
      refresh: (refreshToken, session) =>
        form(
          token,
          { grant_type: 'refresh_token', refresh_token: refreshToken, client_id: session.client },
          proofs(session.dpop, { method: 'POST', url: token }),
        ),
      revoke: (refreshToken, session) =>
        form(`${token}/revocation`, { token: refreshToken, client_id: session.client }),
      introspect: (refreshToken, session) =>
        form(`${token}/introspection`, { token: refreshToken, client_id: session.client }),
      resource: (accessToken, session) => ({
        url: resource,
        headers: {
          authorization: `${session?.dpop ? 'DPoP' : 'Bearer'} ${accessToken}`,
          ...proofs(session?.dpop, { method: 'GET', url: resource, accessToken }),
        },
      }),
      metadata: () => `${url}/.well-known/openid-configuration`,
    },
    stop: () => node.child.stop(),
  };
}

const setUp = 'public native client, `rotateRefreshToken: true`, store in memory';

export default {
  id: 'oidc-provider',
  rows: [
    { id: 'oidc-provider', name: 'oidc-provider', env: { STORE_MS: '3' }, configuration: `${setUp}, 3 ms a call.` },
    {
      id: 'oidc-provider-instant',
      name: 'oidc-provider, instant store',
      env: { STORE_MS: '0' },
      configuration: `${setUp} that answers at once.`,
    },
    {
      id: 'oidc-provider-cas',
      name: 'oidc-provider, conditional store',
      env: { STORE_MS: '3', COMPARE_AND_SET: 'yes' },
      configuration: `${setUp}, 3 ms a call, whose \`consume\` refuses the second time.`,
    },
  ],
  install: (home) => installNpm('oidc-provider', home),
  start,
};
