// What the page says, for the codes that the service answers with.

/** Why the user is no longer signed in. */
const REASONS = {
  signed_out: 'You are signed out.',
  missing_refresh_token: 'You are not signed in.',
  reuse_detected:
    'The session has been ended: an old refresh token was presented, so somebody may have stolen it. Thief and owner are both out.',
  revoked: 'The session has been ended from another device.',
  expired_idle: 'The session was not used for too long.',
  expired_absolute: 'The session has reached the end of its life.',
  invalid_dpop_proof: 'The session is bound to a key that this browser does not have any more. Sign in again.',
  user_disabled: 'This user may not sign in any more.',
};

const ALARMS = ['reuse_detected', 'user_disabled'];

export const UNREACHABLE = 'The service is not available or cannot be reached. Try again.';

export function inWordsOfEnd(reason) {
  if (!reason) return REASONS.missing_refresh_token;
  return Object.hasOwn(REASONS, reason) ? REASONS[reason] : `The session is over: ${reason}.`;
}

export const isAlarm = (reason) => ALARMS.includes(reason);

/** What the browser says of passkeys, and what the service says in other words. */
const PASSKEYS = {
  cancelled: 'No passkey was used.',
  invalid_passkey: 'The passkey was refused. It may have been removed. Sign in with your password.',
  no_passkey: 'This user has no passkey. Use a code.',
  passkey_exists: 'This device has a passkey for you already.',
};

/** What went wrong, without the browser's own words for it. */
export function inWordsOfFailure(error) {
  if (error instanceof TypeError || error?.name === 'TimeoutError' || error?.code === 'unavailable') return UNREACHABLE;
  if (Object.hasOwn(PASSKEYS, error?.code)) return PASSKEYS[error.code];
  if (error?.code === 'account_locked') return `${error.message} Choose a new password by e-mail.`;
  if (error?.code === 'too_many_attempts' && error.retryAfter) {
    return `${error.message} Try again in ${error.retryAfter} s.`;
  }
  return `${error?.message ?? error}`;
}

const UNITS = [['day', 86_400], ['hour', 3_600], ['minute', 60]];

/** How long ago a time in Unix seconds was. */
export function ago(seconds, now = Date.now() / 1000) {
  const past = Math.max(0, now - seconds);
  const [unit, length] = UNITS.find(([, length]) => past >= length) ?? [];
  if (!unit) return 'just now';
  return new Intl.RelativeTimeFormat('en', { numeric: 'always' }).format(-Math.floor(past / length), unit);
}

const BROWSERS = [
  ['Edge', /\bEdg\w*\//], ['Opera', /\bOPR\//], ['Firefox', /\b(Firefox|FxiOS)\//],
  ['Chrome', /\b(\w*Chrome|CriOS)\//], ['Safari', /\bSafari\//], ['curl', /^curl\//],
];
const SYSTEMS = [
  ['Android', /Android/], ['iPhone', /iPhone/], ['iPad', /iPad/], ['Windows', /Windows/],
  ['macOS', /Mac OS X|Macintosh/], ['Linux', /Linux/],
];

/** A user agent as a person says it: 'Chrome on Linux'. */
export function device(userAgent) {
  const named = (list) => list.find(([, pattern]) => pattern.test(userAgent))?.[0];
  const [browser, system] = [named(BROWSERS), named(SYSTEMS)];
  if (browser && system) return `${browser} on ${system}`;
  return browser ?? system ?? (userAgent.split('/')[0] || 'A client');
}
