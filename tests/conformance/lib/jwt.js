// As much of JWS as it takes to make tokens that must be refused.

import { createHmac, createPublicKey } from 'node:crypto';

export const encode = (value) =>
  Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

/** Header and claims of a JWS in compact form, unverified; `undefined` for anything else. */
export function decode(token) {
  const parts = token?.split('.') ?? [];
  if (parts.length !== 3) return undefined;
  try {
    const [header, claims] = parts.slice(0, 2).map((part) => JSON.parse(Buffer.from(part, 'base64url')));
    return header.alg ? { header, claims, parts } : undefined;
  } catch {
    return undefined;
  }
}

/** The token with other claims or another header, under the signature that it had. */
export function edited(token, { header = {}, claims = {} }) {
  const { header: oldHeader, claims: oldClaims, parts } = decode(token);
  return `${encode({ ...oldHeader, ...header })}.${encode({ ...oldClaims, ...claims })}.${parts[2]}`;
}

/** The token without a signature, as `alg` says. */
export function unsigned(token, alg) {
  const { header, claims } = decode(token);
  return `${encode({ ...header, alg })}.${encode(claims)}.`;
}

/** The token under HMAC, with a published key as the secret (RFC 8725 §2.1). */
export function hmacWithPublicKey(token, jwk, spelling) {
  const { header, claims } = decode(token);
  const input = `${encode({ ...header, alg: 'HS256' })}.${encode(claims)}`;
  const secret = {
    pem: () => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'pem' }),
    der: () => createPublicKey({ key: jwk, format: 'jwk' }).export({ type: 'spki', format: 'der' }),
    json: () => JSON.stringify(jwk),
  }[spelling]();
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`;
}
