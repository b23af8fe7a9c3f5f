// Sessions, and how the service's answers are read.

import type { Code } from './codes.js';

/** The claims of an access token (RFC 9068), read but not verified: APIs do that. */
export interface Claims {
  readonly iss: string;
  /** The user's id. */
  readonly sub: string;
  readonly aud: string;
  /** Unix seconds, as `iat` and `auth_time`. */
  readonly exp: number;
  readonly iat: number;
  readonly jti: string;
  readonly client_id: string;
  /** The session's id. */
  readonly sid: string;
  /** When the user was authenticated last: by the sign-in, or by a step-up. */
  readonly auth_time: number;
  /** How the user was authenticated then, such as `pwd`, `otp` or `hwk`. */
  readonly amr?: readonly string[];
  /** The user name. */
  readonly name: string;
  readonly roles: readonly string[];
  readonly [claim: string]: unknown;
}

/** The signed-in user. */
export interface User {
  /** Stays the same for the life of the account, unlike the name. */
  readonly id: string;
  readonly name: string;
  readonly roles: readonly string[];
}

/** A signed-in user's session. All times are milliseconds since 1970. */
export interface Session {
  readonly user: User;
  /** For requests that do not go through `fetch`. Prefer `getAccessToken`, which refreshes it. */
  readonly accessToken: string;
  readonly claims: Claims;
  /** When the access token expires. */
  readonly expiresAt: number;
  /** When it will be refreshed. */
  readonly refreshAt: number;
  /** When the user has to sign in again, however often the session is refreshed. */
  readonly sessionExpiresAt: number;
  /** Token mode only: in cookie mode no script can read it. */
  readonly refreshToken?: string | undefined;
}

/** A rule that a refused password misses. */
export interface MissedRule {
  readonly code: string;
  /** A sentence for the user. */
  readonly detail: string;
}

interface Problem {
  readonly code?: Code;
  readonly title?: string;
  readonly status?: number;
  readonly detail?: string;
  readonly rules?: readonly MissedRule[];
  readonly retryAfter?: number | undefined;
  readonly cause?: unknown;
}

/** Returns nothing if `work` throws, as storage, locks and channels do where a browser blocks them. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** A refusal by the service, or a failure to reach it (`unavailable`). */
export class RatchetError extends Error {
  declare readonly code: Code;
  /** The HTTP status, if there was an answer. */
  declare readonly status?: number;
  /** What to do about it, if the service said so. */
  declare readonly detail?: string;
  /** Of `password_refused`: every rule that the password misses. */
  declare readonly rules?: readonly MissedRule[];
  /** After how many seconds to try again, if the service said so. */
  declare readonly retryAfter?: number;

  constructor({ code = 'unavailable', title = code, ...details }: Problem = {}) {
    super(title);
    Object.assign(this, details, { name: 'RatchetError', code });
  }
}

/** Reads base64url: one character for each byte. */
export const decode = (text: string) => atob(text.replace(/-/g, '+').replace(/_/g, '/'));

/** Reads the claims of a JWT. Not every React Native has a `TextDecoder`. */
export const claimsOf = (token: string): Claims => JSON.parse(decodeURIComponent(escape(decode(token.split('.')[1]!))));

/**
 * Orders refresh tokens of version 1 by age: behind the user's id they carry that of the session, which
 * begins with its time, and the generation.
 */
export const ageOf = (token = '') => attempt(() => decode(token.slice(4, 52)).slice(16)) ?? '';

/**
 * Reads a token pair that arrived at `now`.
 *
 * Throws if it is none: an answer that cannot be read is no answer.
 */
export function sessionOf(pair: Record<string, unknown>, now: number): Session {
  const { access_token: accessToken, refresh_token: refreshToken } = pair as Record<string, string | undefined>;
  const after = (seconds: string) => now + (pair[seconds] as number) * 1000;
  const claims = claimsOf(accessToken!);
  const [expiresAt, refreshAt] = [after('expires_in'), after('refresh_after')];
  if (!claims.sub || !(expiresAt + refreshAt > 0)) throw new RatchetError();
  return {
    user: { id: claims.sub, name: claims.name, roles: claims.roles },
    accessToken: accessToken!,
    claims,
    expiresAt,
    refreshAt,
    sessionExpiresAt: after('session_expires_in'),
    refreshToken,
  };
}

/** Reads a refusal. What a proxy, a gateway or a firewall answers is not the service's word. */
export async function errorOf(response: Response): Promise<RatchetError> {
  const problem = await response
    .clone()
    .json()
    .catch(() => {});
  const own = /^urn:ratchet:/.test(problem?.type) && problem;
  const retryAfter = +response.headers.get('retry-after')! || undefined;
  return new RatchetError({ ...own, status: response.status, retryAfter });
}

/** Whether the service refused, and would refuse the same request again. */
export function isRefused({ code, status }: RatchetError): boolean {
  return code !== 'unavailable' && status! < 500 && status !== 429;
}

/**
 * Whether nobody is signed in after this refusal of a refresh token. `session` is the session that was known
 * before. If there was none, a refused proof means that the token's key is not here. A refused
 * nonce does not.
 */
export function endsSession({ code, status }: RatchetError, session: Session | null): boolean {
  return /proof/.test(code) ? !session : status === 401 && !/unavailable|mismatch|elsewhere/.test(code);
}
