// Step-up: the signed-in user authenticates again within the session (RFC 9470).

import type { Body, Client, Credentials } from './index.js';
import { errorOf, RatchetError, sessionOf, type Session } from './session.js';
import { ANSWER, within } from './turns.js';

/** What the user authenticates with. For users with a second factor, the password alone is not enough. */
export type StepUpProof =
  | { readonly password: string; readonly code?: never; readonly recoveryCode?: never }
  | { readonly password?: string; readonly code: string; readonly recoveryCode?: never }
  | { readonly password?: string; readonly recoveryCode: string; readonly code?: never };

/** What a service requires of the user's authentication. */
export interface Requirement {
  /** How many seconds ago it may have been. */
  readonly maxAge?: number;
  /** Alternatives, each with all the methods that it needs: `[['hwk'], ['pwd', 'otp']]`. */
  readonly amr?: readonly (readonly string[])[];
}

/** What a refused request requires, if the user has to authenticate again for it; otherwise `null`. */
export function requirementOf(response: Response): Requirement | null {
  const challenge = response.headers.get('www-authenticate') ?? '';
  if (response.status !== 401 || !/error="?insufficient_user_authentication\b/.test(challenge)) return null;
  const valueOf = (name: string) => new RegExp(`\\b${name}="?([^",]*)`).exec(challenge)?.[1];
  const [maxAge, amr] = [valueOf('max_age'), valueOf('amr_values')];
  return {
    ...(maxAge && { maxAge: Number(maxAge) }),
    ...(amr && { amr: amr.split(' ').map((methods) => methods.split('+')) }),
  };
}

/**
 * Authenticates the signed-in user again. Resolves with the session, whose access token says so from now
 * on, in all tabs. For five minutes, and until the next refresh, it stands in for the password.
 *
 * Rejects with a `RatchetError` if the service refuses. Nothing is repeated automatically. If there was no
 * answer (`unavailable`), a code may be used up: `client.refresh()` then has what it proved.
 */
export async function stepUp(client: Client, { password, code, recoveryCode }: StepUpProof): Promise<Session> {
  const controller = new AbortController();
  const request = async (): Promise<Body> => {
    const response = await client.fetch('/users/me/step-up', {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ password, code, recovery_code: recoveryCode }),
      signal: controller.signal,
    });
    if (!response.ok) throw await errorOf(response);
    return response.json();
  };
  const answer = await within(ANSWER, request()).catch((error) => {
    controller.abort();
    throw error instanceof RatchetError ? error : new RatchetError({ cause: error });
  });
  // In the place of a sign-in, so that the other tabs hear of it.
  const accept = async () => {
    const now = Date.now();
    const known = client.session;
    const session = sessionOf({ ...answer, session_expires_in: 0, refresh_token: known?.refreshToken }, now);
    // Meanwhile the user has signed out, or in again: the token is of another session.
    if (known?.claims.sid !== session.claims.sid) {
      throw new RatchetError({ code: known ? 'user_changed' : 'signed_out' });
    }
    return { ...session, sessionExpiresAt: known.sessionExpiresAt };
  };
  return client.signIn({ name: '' } as Credentials, accept as unknown as Client['post']);
}
