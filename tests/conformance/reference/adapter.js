// The reference server as a server of the kit: an example of an adapter, and what the tests run on.

import { proof } from '../lib/dpop.js';
import { form } from '../lib/http.js';
import { LIFETIMES, ReferenceServer, thumbprint } from './server.js';

export async function startReference(defects = []) {
  const server = new ReferenceServer(defects);
  await server.listen();
  const { url } = server;
  const dpop = (session, target) => (session?.dpop ? { dpop: proof(session.dpop, target) } : {});
  return {
    version: '–',
    configuration: defects.length ? `broken: ${defects.join(', ')}` : 'as it should be',
    time: { pass: async (seconds) => server.passTime(seconds) },
    lifetimes: LIFETIMES,
    otherClient: 'two',
    dpop: true,
    storeCalls: async () => server.storeCalls,
    rotateKeys: async () => server.rotateKeys(),
    ends: {
      everywhere: async ({ user }) => (server.endEverywhere(user), true),
      password: async ({ user }) => (server.changePassword(user), true),
    },
    crash: { kill: () => server.crash(), restart: () => server.restart() },
    async signIn({ user = crypto.randomUUID(), dpop: key }) {
      return { user, client: 'one', dpop: key, ...server.signIn({ user, jkt: key && thumbprint(key.jwk) }) };
    },
    request: {
      refresh: (token, session) =>
        form(
          `${url}/token`,
          { grant_type: 'refresh_token', refresh_token: token, client_id: session.client },
          dpop(session, { method: 'POST', url: `${url}/token` }),
        ),
      revoke: (token) => form(`${url}/revoke`, { token }),
      introspect: (token) => form(`${url}/introspect`, { token }),
      resource: (token, session) => ({
        url: `${url}/resource`,
        headers: {
          authorization: `${session?.dpop ? 'DPoP' : 'Bearer'} ${token}`,
          ...(session?.dpop
            ? { dpop: proof(session.dpop, { method: 'GET', url: `${url}/resource`, accessToken: token }) }
            : {}),
        },
      }),
      metadata: () => `${url}/.well-known/oauth-authorization-server`,
    },
    stop: () => server.close(),
  };
}

export default {
  id: 'reference',
  // Not a product: it only runs on request.
  example: true,
  rows: [{ id: 'reference', name: 'Reference server of the kit' }],
  start: () => startReference(),
};
