// What a service requires of proofs (RFC 9449 §4.3). The caller checks the signature.

import { createHash } from 'node:crypto';

/** How long a nonce is valid, and how wrong a clock may be, in ms. */
const LIFE_MS = 60_000;

export type Refusal = 'use_dpop_nonce' | 'invalid_dpop_proof';

export class Proofs {
  /** How far the clock of the service is ahead of the client's, in ms. */
  ahead = 0;
  /** Refuses all of them. */
  areRefused = false;
  /** Every `jti` that was accepted. */
  readonly seen = new Set<string>();

  get now() {
    return Date.now() + this.ahead;
  }

  nonce(): string {
    return `nonce-${this.now}`;
  }

  /** Why a proof with these claims is refused for a request with this access token, if it is. */
  refusalOf(claims: Record<string, unknown>, { method, url }: Request, token: string | undefined): Refusal | undefined {
    const { origin, pathname } = new URL(url);
    const ath = token && createHash('sha256').update(token).digest('base64url');
    const isFresh = Math.abs(this.now / 1000 - Number(claims.iat)) <= LIFE_MS / 1000;
    const isRight = claims.htm === method && claims.htu === origin + pathname && claims.ath === ath && claims.jti;
    if (this.areRefused || !isRight) return 'invalid_dpop_proof';
    const age = this.now - Number(/^nonce-(\d+)$/.exec(String(claims.nonce))?.[1]);
    if (!(age >= 0 && age <= LIFE_MS)) return 'use_dpop_nonce';
    if (!isFresh || this.seen.has(String(claims.jti))) return 'invalid_dpop_proof';
    this.seen.add(String(claims.jti));
    return undefined;
  }

  /** The headers of every answer to a request with a proof. */
  headers(): Record<string, string> {
    return { 'dpop-nonce': this.nonce(), date: new Date(this.now).toUTCString() };
  }
}
