// Sessions bound to a key of the client.

import { notOffered, verdict } from '../lib/result.js';
import { dpopKey, proof } from '../lib/dpop.js';
import { tally } from '../lib/trial.js';

export default [
  {
    id: 'dpop',
    promises: {
      refresh: {
        title: 'DPoP: a stolen refresh token is worth nothing without the key',
        sources: ['RFC 9449 §5, §4.3'],
      },
      'session-unharmed': {
        title: 'DPoP: presenting it without the key does not end the session',
        sources: ['RFC 9449 §5 (left open)'],
      },
      resource: {
        title: 'DPoP: a stolen access token opens nothing without the key',
        sources: ['RFC 9449 §7.1, §7.2'],
      },
    },
    async run(t) {
      if (!t.server.dpop) {
        const none = notOffered('no DPoP in this set-up');
        return { refresh: none, 'session-unharmed': none, resource: none };
      }
      const key = dpopKey();
      const stranger = dpopKey();
      const session = await t.signIn({ dpop: key });
      await t.gap();
      const request = await t.server.request.refresh(session.refresh_token, session);
      // Wrong proofs have a nonce as well, so that it is not the reason for the refusal.
      const nonce = await t.server.nonce?.();
      const target = { method: request.method, url: request.url, nonce };
      const { dpop: used, ...plain } = request.headers;
      const wrong = {
        'no proof': plain,
        "another key's proof": { ...plain, dpop: proof(stranger, target) },
        'proof for another URL': { ...plain, dpop: proof(key, { ...target, url: `${target.url}/else` }) },
        'proof for another method': { ...plain, dpop: proof(key, { ...target, method: 'GET' }) },
        'proof of an hour ago': {
          ...plain,
          dpop: proof(key, target, { claims: { iat: Math.floor(Date.now() / 1000) - 3600 } }),
        },
        'proof without a signature': { ...plain, dpop: `${proof(key, target).split('.').slice(0, 2).join('.')}.` },
      };
      const refreshed = [];
      for (const [name, headers] of Object.entries(wrong)) {
        refreshed.push({ name, status: (await t.send({ ...request, headers })).status });
        await t.gap();
      }
      const own = await t.refresh(session);
      if (own.ok) Object.assign(session, { refresh_token: own.refresh_token, access_token: own.access_token });

      const resource = await t.server.request.resource(session.access_token, session);
      const owner = (await t.send(resource)).status;
      const at = { method: resource.method ?? 'GET', url: resource.url, accessToken: session.access_token, nonce };
      const bound = { authorization: `DPoP ${session.access_token}` };
      const stolen = {
        'as a bearer token': { authorization: `Bearer ${session.access_token}` },
        'without a proof': bound,
        "another key's proof": { ...bound, dpop: proof(stranger, at) },
        "another token's proof": { ...bound, dpop: proof(key, { ...at, accessToken: 'another' }) },
      };
      const opened = [];
      for (const [name, headers] of Object.entries(stolen)) {
        opened.push({ name, status: (await t.send({ ...resource, headers })).status });
      }
      const through = (list) => list.filter(({ status }) => status < 400);
      const shown = (list) =>
        through(list).length
          ? through(list)
              .map(({ name, status }) => `${name}: ${status}`)
              .join('; ')
          : `${list.length} variants: ${tally(list.map(({ status }) => status))}`;
      return {
        refresh: verdict(through(refreshed).length === 0, shown(refreshed)),
        'session-unharmed': verdict(
          own.ok,
          own.ok ? `the owner refreshes after ${refreshed.length} of them` : `the owner is answered ${own.status}`,
        ),
        resource: verdict(
          owner === 200 && through(opened).length === 0,
          owner === 200 ? shown(opened) : `the owner is answered ${owner}`,
        ),
      };
    },
  },
];
