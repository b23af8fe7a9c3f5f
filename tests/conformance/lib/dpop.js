// Proofs of possession (RFC 9449 §4).

import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto';

import { encode } from './jwt.js';

/** A key pair of a client, for ES256. */
export function dpopKey() {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const { kty, crv, x, y } = publicKey.export({ format: 'jwk' });
  return { privateKey, jwk: { kty, crv, x, y } };
}

/** A proof for one request. `change` edits it, to make one that must be refused. */
export function proof(key, { method, url, accessToken, nonce }, change = {}) {
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: key.jwk, ...change.header };
  const claims = {
    jti: randomUUID(),
    htm: method,
    htu: url.split(/[?#]/)[0],
    iat: Math.floor(Date.now() / 1000),
    ...(nonce && { nonce }),
    ...(accessToken && { ath: createHash('sha256').update(accessToken).digest('base64url') }),
    ...change.claims,
  };
  const input = `${encode(header)}.${encode(claims)}`;
  const signature = sign('sha256', Buffer.from(input), { key: key.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${input}.${signature.toString('base64url')}`;
}
