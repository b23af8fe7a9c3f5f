// The `code`s of the service's refusals, as openapi.json lists them. A test compares the two.

/** Every `code` that the service's problem details (RFC 9457) can carry. */
export const CODES = [
  'access_token_mismatch',
  'account_locked',
  'challenge_spent',
  'claims_refused',
  'elsewhere',
  'email_not_confirmed',
  'expired_absolute',
  'expired_access_token',
  'expired_idle',
  'forbidden',
  'forbidden_origin',
  'insufficient_user_authentication',
  'internal',
  'invalid_access_token',
  'invalid_challenge',
  'invalid_code',
  'invalid_credentials',
  'invalid_dpop_proof',
  'invalid_passkey',
  'invalid_proof',
  'malformed',
  'malformed_request',
  'missing_access_token',
  'missing_refresh_token',
  'no_passkey',
  'not_found',
  'passkey_exists',
  'password_refused',
  'payload_too_large',
  'reuse_detected',
  'revoked',
  'second_factor_already_enabled',
  'second_factor_enrollment_required',
  'second_factor_locked',
  'second_factor_not_enabled',
  'second_factor_not_pending',
  'second_factor_required',
  'session_ended',
  'stale_access_token',
  'too_many_attempts',
  'too_many_passkeys',
  'unavailable',
  'unknown',
  'unsupported_media_type',
  'use_dpop_nonce',
  'user_disabled',
  'wrong_password',
] as const;

/** A `code` of the service. */
export type ServiceCode = (typeof CODES)[number];

/**
 * The `code` of a `RatchetError`: the service's own, or one of this client's. `unavailable` also
 * stands for every answer that is not the service's, and for none.
 */
export type Code = ServiceCode | 'signed_out' | 'user_changed' | 'cancelled';
