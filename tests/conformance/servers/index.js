// The servers that the kit can start.

import { fileURLToPath } from 'node:url';

import ratchet from './ratchet.js';
import reference from '../reference/adapter.js';

/** Where everything that is installed or written goes. */
export const folder = fileURLToPath(new URL('../../../target/conformance', import.meta.url));

export const adapters = [ratchet, reference];
