// What the server says about itself, against what it does.

import { notOffered, verdict } from '../lib/result.js';
import { decode } from '../lib/jwt.js';

const PRIVATE = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k'];

export default [
  {
    id: 'metadata',
    promises: {
      issuer: {
        title: 'Metadata: the issuer is the one in access tokens, and where it is published',
        sources: ['RFC 8414 §3.3', 'RFC 9068 §2.2'],
      },
      endpoints: { title: 'Metadata: every endpoint exists', sources: ['RFC 8414 §2'] },
      grant: { title: 'Metadata: `refresh_token` is among the grant types', sources: ['RFC 8414 §2'] },
      keys: {
        title: 'Published keys have no private part, and the one in use is among them',
        sources: ['RFC 7517 §4, §9.2'],
      },
    },
    async run(t) {
      const url = t.server.request.metadata?.();
      const answer = url && (await t.send({ url }));
      if (answer?.status !== 200 || !answer.json) {
        const none = notOffered('no metadata');
        return { issuer: none, endpoints: none, grant: none, keys: none };
      }
      const metadata = answer.json;
      const session = await t.signIn();
      const jwt = decode(session.access_token);
      const issuer = metadata.issuer;
      const near = url.startsWith(issuer?.replace(/\/$/, '')) || url === wellKnown(issuer);
      const named = Object.entries(metadata).filter(
        ([name, value]) =>
          /(_endpoint|_uri)$/.test(name) &&
          typeof value === 'string' &&
          /^https?:\/\/(127\.0\.0\.1|localhost)/.test(value),
      );
      const missing = [];
      for (const [name, value] of named) {
        // A wrong method is an answer too; only 404 says that there is no such endpoint.
        const got = await t.send({ url: value });
        const posted =
          got.status === 404
            ? await t.send({
                url: value,
                method: 'POST',
                headers: { 'content-type': 'application/x-www-form-urlencoded' },
                body: '',
              })
            : got;
        if (posted.status === 404) missing.push(name);
      }
      const keys = metadata.jwks_uri ? ((await t.send({ url: metadata.jwks_uri })).json?.keys ?? []) : [];
      const secret = keys.filter((key) => PRIVATE.some((member) => member in key));
      const known = !jwt || keys.some(({ kid }) => kid === jwt.header.kid);
      const grants = metadata.grant_types_supported;
      return {
        issuer: verdict(
          near && (!jwt || jwt.claims.iss === issuer),
          `${jwt ? 'iss' : 'opaque tokens; issuer'} ${jwt && jwt.claims.iss !== issuer ? 'differs' : 'agrees'}${near ? '' : ', published elsewhere'}`,
        ),
        endpoints: verdict(
          missing.length === 0,
          missing.length ? `404: ${missing.join(', ')}` : `${named.length} of ${named.length} answer`,
        ),
        grant: verdict(
          Array.isArray(grants) && grants.includes('refresh_token'),
          grants
            ? grants.map((grant) => grant.split(':').at(-1)).join(', ')
            : 'no grant types named (the default leaves it out)',
        ),
        keys: /^HS/.test(jwt?.header.alg)
          ? notOffered(`${jwt.header.alg}: nobody else verifies`)
          : metadata.jwks_uri
            ? verdict(
                secret.length === 0 && known,
                `${keys.length} keys${secret.length ? `, ${secret.length} private` : ''}${known ? '' : ', not the one in use'}`,
              )
            : notOffered('no keys are published'),
      };
    },
  },
];

/** RFC 8414 §3.1: the well-known part goes before the issuer's path. */
function wellKnown(issuer) {
  const { origin, pathname } = new URL(issuer);
  return `${origin}/.well-known/oauth-authorization-server${pathname === '/' ? '' : pathname}`;
}
