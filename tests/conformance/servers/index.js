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
export const adapters = [ratchet, openauth, oidcProvider, betterAuth, keycloak, hydra, reference];
