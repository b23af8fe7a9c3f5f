// All checks, in the order of the table.

import accessToken from './access_token.js';
import dpop from './dpop.js';
import ends from './ends.js';
import exchange from './exchange.js';
import expiry from './expiry.js';
import metadata from './metadata.js';
import operation from './operation.js';
import parallel from './parallel.js';
import retry from './retry.js';
import reuse from './reuse.js';
import tokens from './tokens.js';

/**
 * @typedef {object} Check
 * @property {string} id
 * @property {Record<string, { title: string, sources: string[] }>} promises what it decides, by name
 * @property {boolean} [moves] whether it lets time pass
 * @property {number} [waits] about how many seconds it takes where time cannot be moved
 * @property {boolean} [alone] whether nothing else may run meanwhile
 * @property {(trial: import('../lib/trial.js').Trial) => Promise<Record<string, object>>} run
 */

/** @type {Check[]} */
export const checks = [
  ...parallel,
  ...retry,
  ...reuse,
  ...ends,
  ...expiry,
  ...tokens,
  ...exchange,
  ...accessToken,
  ...dpop,
  ...operation,
  ...metadata,
];

/** Every promise with its full id, `<check>.<promise>`. */
export const promises = checks.flatMap((check) =>
  Object.entries(check.promises).map(([name, promise]) => ({ id: `${check.id}.${name}`, ...promise })),
);
