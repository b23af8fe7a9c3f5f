import type { Binding } from './types.js';
export interface DpopOptions {
    /**
     * A pair of P-256 for ECDSA, of one user: on a server, to keep it beyond the process. By default
     * IndexedDB keeps one for all tabs, and where there is none, memory.
     */
    keys?: CryptoKeyPair;
}
/** Binds the sessions of a client to a key that no script can read: `createClient({ …, dpop: dpop() })`. */
export declare function dpop({ keys }?: DpopOptions): Binding;
