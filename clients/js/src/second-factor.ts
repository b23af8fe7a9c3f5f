// Second factors: codes of an authenticator app (TOTP, RFC 6238), and recovery codes.

import { call } from './call.js';
import type { Body, Client, Credentials } from './index.js';
import { RatchetError, type Session } from './session.js';

/** The password of a sign-in was right. It needs a second factor, or the user has to set one up. */
export interface SecondFactorRequired extends RatchetError {
  readonly code: 'second_factor_required' | 'second_factor_enrollment_required';
  /** Continues this sign-in, for five minutes and one session. Keep it in memory only. */
  readonly challenge: string;
}

/** Whether `signIn` was refused only because it needs a second factor. */
export function isSecondFactorRequired(error: unknown): error is SecondFactorRequired {
  return error instanceof RatchetError && /^second_factor_(enrollment_)?required$/.test(error.code);
}

/** What proves the second factor: a code of the app, or one of the recovery codes. */
export type Proof = { readonly code: string } | { readonly recoveryCode: string };

/** A sign-in that has begun with the right password. */
export type Continuation = Proof & {
  /** The same as in `signIn`. The device token is kept under it. */
  readonly name: string;
  /** That of `SecondFactorRequired`. */
  readonly challenge: string;
};

/** A new secret for an authenticator app, which waits ten minutes for its first code. */
export interface Enrollment {
  /** For typing into the app. */
  readonly secret: string;
  /** An `otpauth:` URI, which opens the app on a phone. */
  readonly uri: string;
  /** The URI as a QR code: a `data:` URL for the `src` of an image. */
  readonly qrCode: string;
}

/**
 * Every method rejects with a `RatchetError` if the service refuses. Nothing is repeated
 * automatically, and nothing is kept: neither challenges, secrets nor codes.
 */
export interface SecondFactor {
  /**
   * Completes a sign-in: the client's session is then as after its own `signIn`. If the user has just
   * set the second factor up, there are `recoveryCodes`, which are shown this once. After
   * `invalid_code` another code may follow; after `challenge_spent` or `invalid_challenge` the user
   * has to type the password again.
   */
  signIn(continuation: Continuation): Promise<{ session: Session; recoveryCodes?: readonly string[] }>;
  /**
   * Begins to set up a second factor: for the signed-in user with the password, or during a sign-in
   * with the challenge of `second_factor_enrollment_required`. Nothing changes before the first code,
   * which is for `confirm` or `signIn`. A step-up can replace the password.
   */
  enroll(proof: { password?: string } | { challenge: string }): Promise<Enrollment>;
  /**
   * Switches it on with the first code, and ends the other sessions. Resolves with the recovery codes,
   * which are shown this once.
   */
  confirm(code: string): Promise<readonly string[]>;
  /** Replaces the recovery codes. Some step-ups can replace the password. */
  replaceRecoveryCodes(proof: { password?: string } & Proof): Promise<readonly string[]>;
  /** Switches it off, and ends the other sessions. Some step-ups can replace the password. */
  disable(proof: { password?: string } & Proof): Promise<void>;
}

/** The second factor of the user of a client. */
export function secondFactor(client: Client): SecondFactor {
  const own = (method: string, path: string, body: object) => call(client, method, `/users/me/totp${path}`, body);

  return {
    async signIn({ name, challenge, ...proof }) {
      let codes: readonly string[] | undefined;
      // In the place of the password, and with everything that the client does after a sign-in.
      const session = await client.signIn({ name } as Credentials, (_path, { mode }: Body, read) =>
        client.post('/authenticate/second-factor', { challenge, ...wire(proof), mode }, (answer) => {
          codes = answer.recovery_codes as typeof codes;
          return read!(answer);
        }),
      );
      return { session, ...(codes && { recoveryCodes: codes }) };
    },
    async enroll(proof) {
      const { secret, uri, qr_svg: svg } = await ('challenge' in proof
        ? client.post('/authenticate/second-factor/totp', { challenge: proof.challenge })
        : own('POST', '', { password: proof.password }));
      return { secret, uri, qrCode: `data:image/svg+xml,${encodeURIComponent(svg as string)}` } as Enrollment;
    },
    confirm: async (code) => codesOf(await own('POST', '/confirm', { code })),
    replaceRecoveryCodes: async (proof) => codesOf(await own('POST', '/recovery-codes', wire(proof))),
    disable: async (proof) => void (await own('DELETE', '', wire(proof))),
  };
}

const codesOf = ({ recovery_codes: codes }: Body) => codes as readonly string[];

/** As the service calls it. */
const wire = ({ password, code, recoveryCode }: { password?: string; code?: string; recoveryCode?: string }) => ({
  password,
  code,
  recovery_code: recoveryCode,
});
