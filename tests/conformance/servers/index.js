// The servers that the kit can start.

import { fileURLToPath } from 'node:url';

import reference from '../reference/adapter.js';
import betterAuth from './better-auth.js';
import hydra from './hydra.js';
import keycloak from './keycloak.js';
import oidcProvider from './oidc-provider.js';
import openauth from './openauth.js';
import ratchet from './ratchet.js';

/** Where everything that is installed or written goes. */
export const folder = fileURLToPath(new URL('../../../target/conformance', import.meta.url));

/** In the order of the table. */
const adapters = [ratchet, openauth, oidcProvider, betterAuth, keycloak, hydra, reference];

/** Every row of every adapter. */
export const rows = adapters.flatMap((adapter) => adapter.rows.map((row) => ({ ...row, adapter })));

/** The rows that a list of rows and servers names; without one, every row of a real server. */
export function chosen(list) {
  const words = list?.split(',').map((word) => word.trim());
  return words
    ? rows.filter(({ id, adapter }) => words.includes(id) || words.includes(adapter.id))
    : rows.filter(({ adapter }) => !adapter.example);
}
